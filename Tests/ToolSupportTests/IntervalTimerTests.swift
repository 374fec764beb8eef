import Testing
import ToolSupport

@Suite("A time that comes again")
struct IntervalTimerTests {
    @Test("It fires once for each interval, however often it is asked, and once for those that were missed")
    func fires() {
        let start = ContinuousClock.now
        var timer = IntervalTimer(seconds: 10, from: start)
        let asked = [0, 3, 9, 10, 11, 19, 20, 21, 55, 56, 59, 60]
        let fired = asked.filter { timer.fires(at: start + .seconds($0)) }
        #expect(fired == [10, 20, 55, 60])
    }
}
