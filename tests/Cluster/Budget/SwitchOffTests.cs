using UPool.Cluster.Tests.Budget.Simulation;

namespace UPool.Cluster.Tests.Budget;

/// <summary>
/// Each safeguard of the budget, switched off one at a time: the simulation must detect each. A simulation that finds
/// no error proves something only if it could find one.
/// </summary>
public sealed class SwitchOffTests(ITestOutputHelper output)
{
    // A switched-off safeguard is detected within a few runs; after this many the test fails.
    private const int MostRuns = 400;

    [Fact]
    public void Budget_WithoutAskingTheServer_IsExceeded() => AssertFoundOut(SimSwitch.AskingTheServer);

    [Fact]
    public void Budget_WithoutTheSequence_IsExceeded() => AssertFoundOut(SimSwitch.Sequence);

    [Fact]
    public void Budget_AnsweredBeforeItIsWritten_IsExceeded() => AssertFoundOut(SimSwitch.WriteBeforeAnswer);

    [Fact]
    public void Budget_WithoutTheLeaseCheckInThePool_IsExceeded() => AssertFoundOut(SimSwitch.LeaseCheck);

    [Fact]
    public void Budget_WithoutTheGrace_IsExceeded() => AssertFoundOut(SimSwitch.Grace);

    /// <summary>The same faults with every safeguard on: the switch caused what the test above detects.</summary>
    [Fact]
    public void Budget_WithAllOfIt_IsNotExceededByTheSameFaults()
    {
        uint seed = Seed.Next();
        foreach (SimSwitch off in Enum.GetValues<SimSwitch>())
        {
            for (uint run = 0; run < 20; run++) Run(seed + run, Provoking(off) with { Off = SimSwitch.None });
        }
    }

    private void AssertFoundOut(SimSwitch off)
    {
        uint seed = Seed.Next();
        long steps = 0;
        for (uint run = 0; run < MostRuns; run++)
        {
            try
            {
                steps += Run(seed + run, Provoking(off));
            }
            catch (SimViolationException violation)
            {
                output.WriteLine($"{off}: detected in run {run + 1}: {violation.Message.Split('\n')[0]}");
                return;
            }
        }

        Assert.Fail($"Without {off} no violation in {MostRuns} runs of {steps} steps, {Seed.Variable}={seed}.");
    }

    private static long Run(uint seed, SimFaults faults)
    {
        var cluster = SimCluster.Create(seed, 5, 20, faults);
        cluster.SetDemand(cluster.Ceiling);
        cluster.RunFor(120 * SimScheduler.Second);
        return cluster.Scheduler.Steps;
    }

    /// <summary>Faults that often exercise the safeguard.</summary>
    private static SimFaults Provoking(SimSwitch off) => off switch
    {
        SimSwitch.Sequence => SimFaults.None with
        {
            Off = off,
            Delays = 0.2,
            LongDelay = 6 * SimScheduler.Second,
            Duplicates = 0.2,
            DemandChanges = 2,
        },
        SimSwitch.WriteBeforeAnswer => SimFaults.None with
        {
            Off = off,
            UnknownWrites = 0.1,
            Splits = 0.2,
            DemandChanges = 2,
        },
        SimSwitch.Grace => SimFaults.None with
        {
            Off = off,
            Partitions = 0.2,
            SessionLosses = 3,
            Stops = 0.5,
            Only = SimPoint.BeforeConnect,
            LongestStop = 4 * SimScheduler.Second,
        },
        SimSwitch.LeaseCheck => SimFaults.None with { Off = off, Stops = 0.005, SessionLosses = 3 },
        _ => SimFaults.None with { Off = off, Stops = 0.001, Crashes = 0.0005 },
    };
}
