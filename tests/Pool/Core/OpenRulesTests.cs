using UPool.Core;

namespace UPool.Tests.Core;

/// <summary>The decision table for opens: each row is a state and its answer.</summary>
public sealed class OpenRulesTests
{
    // Nothing is open, all 4 permits are free, one rent is pending.
    private static readonly OpenState Empty = new() { Permits = 4, MaxOpening = 2, Wanted = 1 };
    private static readonly OpenState Leased = Empty with { NeedsLease = true, IsLeased = true };

    // Two connections are used, two permits are free.
    private static readonly OpenState Half = Empty with { Open = 2 };
    private static readonly OpenState Full = Empty with { Open = 4 };
    private static readonly OpenState Due = Half with { IsCandidateDue = true, Wanted = 0 };
    private static readonly OpenState Failed = Empty with { Fault = FaultKind.Failed };
    private static readonly OpenState Silent = Empty with { Fault = FaultKind.Unanswered, Opening = 1, Unanswered = 1 };

    // One open was lost: the server answers others.
    private static readonly OpenState Lost = Half with { Opening = 1, Unanswered = 1, AreOpensAnswered = true };

    // All permits are held by sessions whose end cannot be confirmed.
    private static readonly OpenState Stuck = Empty with { Closing = 4, HasControlProblem = true };

    private static readonly (string Name, OpenState State, OpenAnswer Answer)[] Table =
    [
        ("nothing open, one rent pending", Empty, OpenAnswer.Serve),
        ("nothing open, no rent pending", Empty with { Wanted = 0 }, OpenAnswer.NotWanted),
        ("one opening, one pending", Empty with { Opening = 1 }, OpenAnswer.NotWanted),
        ("one opening, two pending", Empty with { Opening = 1, Wanted = 2 }, OpenAnswer.Serve),
        ("one validating, one pending", Half with { Validating = 1 }, OpenAnswer.NotWanted),
        ("the opening one is late", Empty with { Opening = 1, Late = 1 }, OpenAnswer.Serve),
        ("MaxOpening are opening", Empty with { Opening = 2, Wanted = 9 }, OpenAnswer.EnoughUnderWay),
        ("MaxOpening are late", Empty with { Opening = 2, Late = 2 }, OpenAnswer.EnoughUnderWay),
        ("used ones are not counted on", Half, OpenAnswer.Serve),
        ("all permits are open", Full, OpenAnswer.PermitsHeld),
        ("all permits are closing", Empty with { Closing = 4 }, OpenAnswer.PermitsHeld),
        ("one of each state, one permit free",
            Empty with { Open = 1, Opening = 1, Closing = 1, Wanted = 2 }, OpenAnswer.Serve),
        ("one of each state, no permit free",
            Empty with { Open = 1, Opening = 1, Closing = 2, Wanted = 2 }, OpenAnswer.PermitsHeld),
        ("more sessions than permits", Full with { Permits = 1 }, OpenAnswer.PermitsHeld),
        ("no permits", Empty with { Permits = 0 }, OpenAnswer.NoPermits),
        ("draining", Empty with { IsDraining = true }, OpenAnswer.Draining),

        // A problem of the control connection is no reason: closing sessions hold their permits anyway.
        ("control problem, all permits free", Empty with { HasControlProblem = true }, OpenAnswer.Serve),
        ("control problem, one permit free", Stuck with { Closing = 3 }, OpenAnswer.Serve),
        ("control problem, no permit free", Stuck, OpenAnswer.PermitsHeld),

        // Lost and unanswered opens.
        ("one was lost, others are answered", Lost, OpenAnswer.Serve),
        ("one was lost, MaxOpening are opening beside it",
            Lost with { Permits = 9, Opening = 3, Wanted = 9 }, OpenAnswer.EnoughUnderWay),
        ("one was lost, no later open was answered yet", Lost with { AreOpensAnswered = false }, OpenAnswer.Serve),
        ("one was lost, no later open was answered yet, one is opening",
            Lost with { AreOpensAnswered = false, Permits = 9, Opening = 2, Wanted = 9 }, OpenAnswer.EnoughUnderWay),
        ("one was lost and holds the last permit", Lost with { Open = 3 }, OpenAnswer.PermitsHeld),
        ("the server is silent", Silent, OpenAnswer.ServerIsSilent),
        ("the server is silent, connections are open", Silent with { Open = 2 }, OpenAnswer.ServerIsSilent),

        // After a failure.
        ("failed, the pause is over", Failed, OpenAnswer.Probe),
        ("failed, no rent pending", Failed with { Wanted = 0 }, OpenAnswer.Probe),
        ("failed, pausing", Failed with { IsPausing = true }, OpenAnswer.Pausing),
        ("failed, a probe is opening", Failed with { Opening = 1, Wanted = 9 }, OpenAnswer.EnoughUnderWay),
        ("failed, the probe is late", Failed with { Opening = 1, Late = 1 }, OpenAnswer.EnoughUnderWay),
        ("failed, an earlier open was lost", Failed with { Opening = 1, Unanswered = 1 }, OpenAnswer.Probe),
        ("failed, all permits are held", Failed with { Closing = 4 }, OpenAnswer.PermitsHeld),
        ("no room on the server", Half with { Fault = FaultKind.NoPermit }, OpenAnswer.Probe),
        ("no room, pausing", Half with { Fault = FaultKind.NoPermit, IsPausing = true }, OpenAnswer.Pausing),

        // Changed credentials.
        ("a candidate is due", Due, OpenAnswer.TryCandidate),
        ("nothing is open, a candidate is due", Due with { Open = 0 }, OpenAnswer.TryCandidate),
        ("one opening, one pending, a candidate is due", Due with { Opening = 1 }, OpenAnswer.NotWanted),
        ("a candidate is due, one opening, two pending", Due with { Opening = 1, Wanted = 2 }, OpenAnswer.Serve),
        ("an earlier open was lost, a candidate is due",
            Due with { Opening = 1, Unanswered = 1 }, OpenAnswer.TryCandidate),
        ("all permits are open, a candidate is due", Due with { Open = 4 }, OpenAnswer.MakeRoom),
        ("one is closing already, a candidate is due", Due with { Open = 3, Closing = 1 }, OpenAnswer.PermitsHeld),
        ("no permits for a candidate", Due with { Open = 0, Permits = 0 }, OpenAnswer.NoPermits),
        ("the former credentials fail", Due with { Fault = FaultKind.Failed }, OpenAnswer.TryCandidate),
        ("the former credentials fail, pausing",
            Due with { Fault = FaultKind.Failed, IsPausing = true }, OpenAnswer.TryCandidate),
        ("the server is silent, a candidate is due",
            Due with { Fault = FaultKind.Unanswered, Opening = 1, Unanswered = 1, Open = 3 },
            OpenAnswer.ServerIsSilent),
        ("draining, a candidate is due", Due with { IsDraining = true }, OpenAnswer.Draining),

        // With a lease.
        ("leased, nothing open", Leased, OpenAnswer.Serve),
        ("no lease in force", Leased with { IsLeased = false, Permits = 0 }, OpenAnswer.NoLease),
        ("no lease in force, failed", Failed with { NeedsLease = true, Permits = 0 }, OpenAnswer.NoLease),
        ("no lease in force, a candidate is due", Due with { NeedsLease = true, Permits = 0 }, OpenAnswer.NoLease),
        ("a lease of no permits", Leased with { Permits = 0 }, OpenAnswer.NoPermits),
        ("leased, one opening, many pending", Leased with { Opening = 1, Wanted = 9 }, OpenAnswer.OneAtATime),
        ("leased, the opening one is late", Leased with { Opening = 1, Late = 1 }, OpenAnswer.OneAtATime),
        ("leased, one was lost",
            Lost with { NeedsLease = true, IsLeased = true }, OpenAnswer.OneAtATime),
        ("leased, one was lost, a candidate is due",
            Lost with { NeedsLease = true, IsLeased = true, IsCandidateDue = true }, OpenAnswer.OneAtATime),
        ("leased, one was lost, all permits held, a candidate is due: no room is made",
            Lost with { NeedsLease = true, IsLeased = true, IsCandidateDue = true, Open = 3 }, OpenAnswer.OneAtATime),
        ("leased, one was lost, failed",
            Lost with { NeedsLease = true, IsLeased = true, Fault = FaultKind.Failed }, OpenAnswer.OneAtATime),
        ("leased, failed", Leased with { Fault = FaultKind.Failed }, OpenAnswer.Probe),
        ("leased, a candidate is due", Leased with { IsCandidateDue = true }, OpenAnswer.TryCandidate),
        ("leased, all permits are open, a candidate is due",
            Leased with { IsCandidateDue = true, Open = 4 }, OpenAnswer.MakeRoom),
    ];

    private static readonly (string Name, OpenState State, bool IsDown, RefusalReason Why)[] DownTable =
    [
        ("nothing open, nothing known", Empty, false, RefusalReason.TimedOut),
        ("opens fail", Failed, true, RefusalReason.Unavailable),
        ("opens fail, one is open", Failed with { Open = 1 }, false, RefusalReason.TimedOut),
        ("opens fail, a probe is opening", Failed with { Opening = 1 }, true, RefusalReason.Unavailable),
        ("the server is silent", Silent, true, RefusalReason.Unavailable),
        ("the server is silent, one is open", Silent with { Open = 1 }, false, RefusalReason.TimedOut),
        ("no room", Empty with { Fault = FaultKind.NoPermit }, false, RefusalReason.NoPermits),
        ("no room for more", Half with { Fault = FaultKind.NoPermit }, false, RefusalReason.NoPermits),
        ("no room, all permits are open",
            Full with { Fault = FaultKind.NoPermit }, false, RefusalReason.TimedOut),
        ("no permits", Empty with { Permits = 0 }, false, RefusalReason.NoPermits),
        ("no permits, opens fail", Failed with { Permits = 0 }, true, RefusalReason.Unavailable),
        ("no lease", Empty with { NeedsLease = true, Permits = 0 }, false, RefusalReason.NoPermits),
        ("control problem, all permits free",
            Empty with { HasControlProblem = true }, false, RefusalReason.TimedOut),
        ("control problem, no permits at all",
            Empty with { HasControlProblem = true, Permits = 0 }, false, RefusalReason.NoPermits),
        ("control problem, one opening",
            Empty with { HasControlProblem = true, Opening = 1 }, false, RefusalReason.TimedOut),
        ("control problem, closing sessions hold all permits", Stuck, true, RefusalReason.Unavailable),
        ("control problem, one permit free", Stuck with { Closing = 3 }, false, RefusalReason.TimedOut),
        ("control problem, one opening and closing sessions hold all permits",
            Stuck with { Closing = 3, Opening = 1 }, false, RefusalReason.TimedOut),
        ("control problem, a lost open and closing sessions hold all permits",
            Stuck with { Closing = 3, Opening = 1, Unanswered = 1 }, true, RefusalReason.Unavailable),
        ("control problem, one is open", Stuck with { Closing = 3, Open = 1 }, false, RefusalReason.TimedOut),
        ("closing sessions hold all permits, the control connection works",
            Stuck with { HasControlProblem = false }, false, RefusalReason.TimedOut),
        ("a lost open", Lost with { Open = 0 }, false, RefusalReason.TimedOut),
        ("a lost open with a lease",
            Lost with { Open = 0, NeedsLease = true, IsLeased = true }, true, RefusalReason.Unavailable),
        ("a lost open with a lease, one is open",
            Lost with { Open = 1, NeedsLease = true, IsLeased = true }, false, RefusalReason.TimedOut),
    ];

    public static TheoryData<string> Names => [.. Table.Select(row => row.Name)];

    public static TheoryData<string> DownNames => [.. DownTable.Select(row => row.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void MayOpen_State_IsAnswered(string name)
    {
        (_, OpenState state, OpenAnswer answer) = Table.Single(row => row.Name == name);
        Assert.Equal(answer, OpenRules.MayOpen(state));
    }

    [Theory]
    [MemberData(nameof(DownNames))]
    public void IsDown_State_IsAnswered(string name)
    {
        (_, OpenState state, bool isDown, RefusalReason why) = DownTable.Single(row => row.Name == name);
        Assert.Equal((isDown, why), (OpenRules.IsDown(state), OpenRules.WhyWaiting(state)));
    }

    /// <summary>Every state of a small pool, with the answers that must never occur.</summary>
    [Fact]
    public void MayOpen_EveryState_KeepsTheBounds()
    {
        int states = 0, opens = 0;
        foreach (OpenState state in AllStates())
        {
            states++;
            OpenAnswer answer = OpenRules.MayOpen(state);
            if (answer.IsYes())
            {
                opens++;
                Assert.True(state.Sessions < state.Permits, $"more sessions than permits (INV-1): {state}");
                Assert.True(!state.NeedsLease || state.IsLeased, $"an open without a lease (INV-2): {state}");
                Assert.True(!state.NeedsLease || state.Opening == 0, $"two at a time under a lease (INV-2): {state}");
                Assert.True(state.Expected < state.MaxOpening, $"more than may be at a time: {state}");
                Assert.False(state.IsDraining, $"{state}");
            }

            if (answer == OpenAnswer.MakeRoom)
            {
                // After the room was made, it is used.
                OpenState after = state with { Open = state.Open - 1 };
                if (after.Sessions < after.Permits)
                    Assert.Equal(OpenAnswer.TryCandidate, OpenRules.MayOpen(after));
            }

            // The database is not reported as down while a rent could be served by an open that may begin now and is
            // not the probe after a failure.
            if (answer is OpenAnswer.Serve) Assert.False(OpenRules.IsDown(state), $"{state}");
            if (state.Open > 0) Assert.False(OpenRules.IsDown(state), $"{state}");
        }

        Assert.InRange(opens, 1000, states);
    }

    private static IEnumerable<OpenState> AllStates()
    {
        bool[] both = [false, true];
        int[] permitCounts = [0, 1, 3], wantedCounts = [0, 1, 3];
        return
            from needsLease in both
            from isLeased in both
            where needsLease || !isLeased
            from isDraining in both
            from permits in permitCounts
            where !needsLease || isLeased || permits == 0
            from open in Enumerable.Range(0, 3)
            from opening in Enumerable.Range(0, 3)
            from unanswered in Enumerable.Range(0, opening + 1)
            from late in Enumerable.Range(0, opening - unanswered + 1)
            from closing in Enumerable.Range(0, 3)
            from fault in Enum.GetValues<FaultKind>()
            where fault != FaultKind.Unanswered || unanswered > 0
            from isPausing in both
            where fault != FaultKind.None || !isPausing
            from areAnswered in both
            from isDue in both
            from hasProblem in both
            from wanted in wantedCounts
            select new OpenState
            {
                NeedsLease = needsLease,
                IsLeased = isLeased,
                IsDraining = isDraining,
                Permits = permits,
                Open = open,
                Opening = opening,
                Unanswered = unanswered,
                Late = late,
                Closing = closing,
                Fault = fault,
                IsPausing = isPausing,
                AreOpensAnswered = areAnswered,
                IsCandidateDue = isDue,
                HasControlProblem = hasProblem,
                Wanted = wanted,
                MaxOpening = 2,
            };
    }
}
