// The columns of an Arrow stream: names and types, and their description in the schema (Arrow columnar format 1.5, Schema.fbs).

/// A column, or a part of one.
package struct ArrowField: Sendable, Equatable {
    package var name: String
    package var type: ArrowType
    package var isNullable: Bool

    package init(_ name: String, _ type: ArrowType, isNullable: Bool = true) {
        self.name = name
        self.type = type
        self.isNullable = isNullable
    }
}

/// The type of a column's values.
package indirect enum ArrowType: Sendable, Equatable {
    case bool
    case int32
    case int64
    /// Nanoseconds since 1970 in UTC.
    case time
    case utf8
    case binary
    /// Texts of which each distinct one is stored once in a batch.
    case dictionary
    case list(ArrowField)
    case structure([ArrowField])
}

extension ArrowType {
    /// The number of the type in the union `Type`, and its table. A column with a dictionary has the type of its values.
    private var description: (number: UInt8, table: FlatTable) {
        switch self {
        case .int32: (2, FlatTable([(0, .int(32)), (1, .byte(1))]))
        case .int64: (2, FlatTable([(0, .int(64)), (1, .byte(1))]))
        case .binary: (4, FlatTable())
        case .utf8, .dictionary: (5, FlatTable())
        case .bool: (6, FlatTable())
        // TimeUnit.NANOSECOND
        case .time: (10, FlatTable([(0, .short(3)), (1, .text("UTC"))]))
        case .list: (12, FlatTable())
        case .structure: (13, FlatTable())
        }
    }

    package var children: [ArrowField] {
        switch self {
        case .list(let element): [element]
        case .structure(let fields): fields
        default: []
        }
    }

    /// The table `Field` of a column of this type.
    /// - Parameter dictionary: the number of its dictionary.
    fileprivate func field(_ name: String, isNullable: Bool, dictionary: Int64) -> FlatTable {
        let (number, table) = description
        var fields: [(number: Int, value: FlatTable.Value)] = [
            (0, .text(name)), (1, .byte(isNullable ? 1 : 0)), (2, .byte(number)), (3, .table(table)),
            (5, .tables(children.map { $0.type.field($0.name, isNullable: $0.isNullable, dictionary: 0) })),
        ]
        if self == .dictionary {
            let keys = FlatTable([(0, .int(32)), (1, .byte(1))])
            fields.append((4, .table(FlatTable([(0, .long(dictionary)), (1, .table(keys))]))))
        }
        return FlatTable(fields)
    }
}

extension [ArrowField] {
    /// The table `Schema`. The dictionary of a column has the column's index as its number.
    func schema(metadata: [(key: String, value: String)]) -> FlatTable {
        FlatTable([
            (0, .short(0)),
            (1, .tables(enumerated().map { $1.type.field($1.name, isNullable: $1.isNullable, dictionary: Int64($0)) })),
            (2, .tables(metadata.map { FlatTable([(0, .text($0.key)), (1, .text($0.value))]) })),
        ])
    }
}
