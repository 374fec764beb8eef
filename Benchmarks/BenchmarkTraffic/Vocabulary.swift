// Words, names, prices and times for bodies.

struct Vocabulary {
    private static let lexicon: [String] = """
        account action address amount answer archive article available basket before better between bottle bridge browser buyer camera \
        category change chapter client closed colour comment connection contract country coupon courier customer daily default delivery \
        detail device discount display document double during early edition email engine evening event example factor family feature \
        field figure filter final first follow former forward garden general glass golden ground handle harbour header history holiday \
        image import include index inside invoice island item kitchen label language large later leather letter level library light limited \
        linen little local market material matter measure member message metal middle minute mirror model modern morning mountain nature \
        never notice number object office open option orange order original other outdoor package page paper partner payment pending people \
        perfect period phone picture place plain plastic please pocket point policy portable position premium price primary printer private \
        problem process product profile program project promise proposal protect provider public purchase quality quarter question quick \
        reader ready reason receipt record reduced region regular remote repair reply report request result return review river rubber \
        sample season second secure select seller series service session setting several shipping shirt silver simple single small \
        smooth sound source special standard station status steel store street strong student studio subject summer supply support \
        surface system table target team ticket timber today together total towel track traffic transfer travel under update user value \
        version village visit wallet warehouse warranty water weather weekly white window winter within without wooden worker yellow
        """.split(separator: " ").map(String.init)
    private static let firstNames = """
        Amara Anna Ben Chiara David Elif Emma Farid Grace Hana Ines Ivan Jonas Jun Kofi Lea Leo Lina Luca Maja Marta Mei Milan Nadia Noah \
        Olga Omar Paula Priya Rosa Sami Sofia Tariq Thea Tom Vera Yara Yusuf Zoe
        """.split(separator: " ").map(String.init)
    private static let lastNames = """
        Adeyemi Bauer Chen Costa Dubois Eriksen Ferrari Garcia Hansen Haddad Ito Janssen Kaya Khan Kowalski Larsen Lopez Mensah Meyer \
        Moreau Nakamura Novak Okafor Patel Petrov Rossi Santos Schmidt Silva Singh Suzuki Tanaka Varga Weber Yilmaz Zhang
        """.split(separator: " ").map(String.init)
    private static let cities = [
        "Accra", "Berlin", "Bogota", "Cairo", "Geneva", "Hanoi", "Lagos", "Lima", "Lyon", "Osaka", "Porto", "Pune", "Turin",
    ]

    private let zipf = Zipf(Vocabulary.lexicon.count)

    func word(_ random: inout SplitMix64) -> String { Self.lexicon[zipf.pick(&random)] }

    func words(_ count: Int, _ random: inout SplitMix64, separator: String = " ") -> String {
        (0..<count).map { _ in word(&random) }.joined(separator: separator)
    }

    /// A sentence with a capital and a full stop.
    func sentence(_ random: inout SplitMix64) -> String {
        let text = words(random.number(5..<14), &random)
        return text.prefix(1).uppercased() + text.dropFirst() + "."
    }

    func name(_ random: inout SplitMix64) -> (first: String, last: String) {
        (random.pick(Self.firstNames), random.pick(Self.lastNames))
    }
    func city(_ random: inout SplitMix64) -> String { random.pick(Self.cities) }
    func price(_ random: inout SplitMix64) -> String {
        "\(random.number(1..<400)).\(random.pick(["00", "49", "50", "90", "95", "99"]))"
    }

    /// A time of 2025, RFC 3339.
    func time(_ random: inout SplitMix64) -> String {
        func two(_ range: Range<Int>) -> String {
            let value = random.number(range)
            return value < 10 ? "0\(value)" : "\(value)"
        }
        return "2025-\(two(1..<13))-\(two(1..<29))T\(two(0..<24)):\(two(0..<60)):\(two(0..<60)).\(random.number(100..<1000))Z"
    }
}
