using Microsoft.Extensions.Time.Testing;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

public sealed class DeadlineWheelTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);

    [Fact]
    public void Add_AnyDue_FiresNeverEarlyAndAtMostOneTickLate()
    {
        var clock = new FakeTimeProvider();

        // The first entry sets the timer's phase, which need not fall on whole ticks.
        clock.Advance(TimeSpan.FromMilliseconds(3.7));
        using var wheel = new DeadlineWheel(clock);
        List<Entry> entries =
            [.. Enumerable.Range(0, 600).Select(i => new Entry(clock, TimeSpan.FromMilliseconds(i * 1.3)))];
        foreach (Entry entry in entries) wheel.Add(entry, entry.Due);
        for (int i = 0; i < 1000; i++) clock.Advance(TimeSpan.FromMilliseconds(1));

        Assert.All(entries, entry => entry.AssertFiredOnce(within: Tick));
        Assert.Equal(0, wheel.Count);
    }

    [Fact]
    public void Add_TenThousandOverThreeTurns_EachFiresOnceInTime()
    {
        var clock = new FakeTimeProvider();
        using var wheel = new DeadlineWheel(clock);
        var random = new Random(4711);
        List<Entry> entries =
        [
            .. Enumerable.Range(0, 10_000)
                .Select(_ => new Entry(clock, TimeSpan.FromSeconds(15 * random.NextDouble()))),
        ];
        foreach (Entry entry in entries) wheel.Add(entry, entry.Due);
        Assert.Equal(10_000, wheel.Count);
        for (int i = 0; i < 1502; i++) clock.Advance(Tick);

        Assert.All(entries, entry => entry.AssertFiredOnce(within: Tick));
        Assert.Equal(0, wheel.Count);
    }

    [Fact]
    public void Remove_BeforeItsTime_NeverFires()
    {
        var clock = new FakeTimeProvider();
        using var wheel = new DeadlineWheel(clock);
        Entry[] entries = [.. Enumerable.Range(0, 3).Select(_ => new Entry(clock, TimeSpan.FromMilliseconds(50)))];
        foreach (Entry entry in entries) wheel.Add(entry, entry.Due);

        // From the middle of a slot's list, and twice.
        wheel.Remove(entries[1]);
        wheel.Remove(entries[1]);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([1, 0, 1], entries.Select(entry => entry.Fired));
    }

    [Fact]
    public void Add_AfterRemove_FiresAtTheNewTimeOnly()
    {
        var clock = new FakeTimeProvider();
        using var wheel = new DeadlineWheel(clock);
        var entry = new Entry(clock, TimeSpan.FromMilliseconds(50));
        wheel.Add(entry, entry.Due);
        wheel.Remove(entry);
        entry.Due += TimeSpan.FromMilliseconds(300).Ticks;
        wheel.Add(entry, entry.Due);
        clock.Advance(TimeSpan.FromMilliseconds(340));
        Assert.Equal(0, entry.Fired);
        clock.Advance(Tick);
        entry.AssertFiredOnce(within: Tick);
    }

    [Fact]
    public void Add_WhileOnAWheel_IsABug()
    {
        var clock = new FakeTimeProvider();
        using var wheel = new DeadlineWheel(clock);
        var entry = new Entry(clock, Tick);
        wheel.Add(entry, entry.Due);
        var error = Assert.Throws<InvalidOperationException>(() => wheel.Add(entry, entry.Due));
        Assert.StartsWith("bug:", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Add_FromACallback_Works()
    {
        var clock = new FakeTimeProvider();
        using var wheel = new DeadlineWheel(clock);
        var second = new Entry(clock, TimeSpan.FromMilliseconds(100));
        var first = new Entry(clock, TimeSpan.FromMilliseconds(50)) { OnFired = () => wheel.Add(second, second.Due) };
        wheel.Add(first, first.Due);
        for (int i = 0; i < 20; i++) clock.Advance(Tick);
        first.AssertFiredOnce(within: Tick);
        second.AssertFiredOnce(within: Tick);
    }

    [Fact]
    public void Turn_AfterAPauseOfManyTurns_FiresAllThatIsDueAndNothingElse()
    {
        var clock = new ManualClock();
        using var wheel = new DeadlineWheel(clock);
        List<Entry> due =
            [.. Enumerable.Range(0, 2000).Select(i => new Entry(clock, TimeSpan.FromMilliseconds(i * 10)))];
        var later = new Entry(clock, TimeSpan.FromSeconds(30));
        foreach (Entry entry in due) wheel.Add(entry, entry.Due);
        wheel.Add(later, later.Due);

        clock.Pass(TimeSpan.FromSeconds(21));
        clock.FireTimers();
        Assert.All(due, entry => Assert.Equal(1, entry.Fired));
        Assert.Equal(0, later.Fired);
        Assert.Equal(1, wheel.Count);

        clock.Pass(TimeSpan.FromSeconds(9));
        clock.FireTimers();
        Assert.Equal(1, later.Fired);
    }

    [Fact]
    public void Turn_NothingIsLeft_TheTimerStops()
    {
        var clock = new ManualClock();
        using var wheel = new DeadlineWheel(clock);
        Assert.False(clock.IsAnyTimerRunning);
        var entry = new Entry(clock, Tick);
        wheel.Add(entry, entry.Due);
        Assert.True(clock.IsAnyTimerRunning);
        wheel.Remove(entry);
        clock.Pass(Tick);
        clock.FireTimers();
        Assert.False(clock.IsAnyTimerRunning);

        wheel.Add(entry, entry.Due);
        clock.Pass(2 * Tick);
        clock.FireTimers();
        Assert.Equal(1, entry.Fired);
        Assert.False(clock.IsAnyTimerRunning);
    }

    [Fact]
    public void Add_ClockTicksBetweenItsReadings_DoesNotMissTheEntryForATurn()
    {
        var clock = new ManualClock();
        using var wheel = new DeadlineWheel(clock);
        var entry = new Entry(clock, TimeSpan.Zero);
        clock.Read = () => clock.Pass(Tick);
        wheel.Add(entry, entry.Due);
        clock.Read = null;
        clock.Pass(Tick);
        clock.FireTimers();
        Assert.Equal(1, entry.Fired);
    }

    [Fact]
    public void Add_Disposed_IsIgnored()
    {
        var clock = new FakeTimeProvider();
        var wheel = new DeadlineWheel(clock);
        wheel.Dispose();
        var entry = new Entry(clock, Tick);
        wheel.Add(entry, entry.Due);
        wheel.Remove(entry);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, entry.Fired);
    }

    private sealed class Entry(TimeProvider clock, TimeSpan after) : WheelEntry
    {
        private long _firedAt;

        public long Due { get; set; } = clock.GetTimestamp() + after.Ticks;

        public int Fired { get; private set; }

        public Action? OnFired { get; init; }

        public void AssertFiredOnce(TimeSpan within)
        {
            Assert.Equal(1, Fired);
            Assert.InRange(_firedAt, Due, Due + within.Ticks);
        }

        internal override void OnDue(long now)
        {
            Fired++;
            _firedAt = now;
            OnFired?.Invoke();
        }
    }
}
