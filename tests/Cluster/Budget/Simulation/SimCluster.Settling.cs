using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <content>The conditions that must hold after all faults have ended.</content>
internal sealed partial class SimCluster
{
    // By then every fault has ended: stops, partitions and long statements of up to 40 seconds, then a lease with its
    // grace, and the reclaim.
    private const long CalmDown = 90 * SimScheduler.Second;

    // The share of permits above the floors in use, after settling under saturating demand.
    private const double LeastInUse = 0.97;

    // A change of demand may take at most this many renewal intervals.
    private const int SettlingIntervals = 3;

    // Opens run one after the other; this is the time of each on the simulated server.
    private const long OpenTime = 20 * SimScheduler.Millisecond;

    private readonly List<SimMove> _moves = [];

    /// <summary>The cost of each move of the load to one silo.</summary>
    public IReadOnlyList<SimMove> Moves => _moves;

    /// <summary>Ends all faults, waits, and requires every permit back and in use where the load is, also after two
    /// moves of the load.</summary>
    public void Settle()
    {
        Calm();
        if (_silos.Count == 0) StartSilo();
        SetDemand(2 * Ceiling);
        RunFor(CalmDown / 3);
        CheckAllIsBack();
        CheckInUse("all are saturated");
        CheckFair();

        for (int move = 0; move < 2 && _silos.Count > 1; move++) MoveLoad(_silos[Random.Next(_silos.Count)]);
    }

    /// <summary>Ends all faults and waits until their effects are over.</summary>
    public void Calm()
    {
        Faults = SimFaults.None;
        RunFor(CalmDown);
    }

    public void SetDemand(int demand)
    {
        foreach (SimSilo silo in _silos.ToArray()) silo.Pool.SetDemand(demand);
    }

    /// <summary>Moves all load to this silo, requires the permits to follow in time, and records the loss.</summary>
    private void MoveLoad(SimSilo loaded)
    {
        int due = Math.Min(Limit - (_silos.Count - 1) * Settings.Floor, loaded.Ceiling);
        var move = new SimMove(due - loaded.Permits);
        foreach (SimSilo silo in _silos) silo.Pool.SetDemand(silo == loaded ? 2 * Ceiling : 0);
        RunNoting(move, loaded, due, SettlingIntervals * SimScheduler.Second);
        if (loaded.Permits < LeastInUse * due)
            throw Violation($"{loaded.Name} has {loaded.Permits} of {due} permits, {SettlingIntervals} s after the "
                + "load has moved to it");

        RunNoting(move, loaded, due, due * OpenTime);
        CheckInUse($"the load has moved to {loaded.Name}");
        if (move.Permits > 0) _moves.Add(move);
    }

    private void RunNoting(SimMove move, SimSilo loaded, int due, long duration)
    {
        for (long end = Time + duration; Time < end;)
        {
            RunFor(SimScheduler.Millisecond);
            move.Note(due - loaded.Permits, due - loaded.Pool.Used, SimScheduler.Millisecond);
        }
    }

    /// <summary>Checks that nothing is held for dead silos, nothing is pending, and the sum is complete.</summary>
    private void CheckAllIsBack()
    {
        BudgetView view = Ledger?.View(_current!.Now) ?? throw Violation("there is no coordinator");
        if (view.IsLearning || view.Orphans > 0) throw Violation("the ledger has not settled");
        if (view.Leases.Length != _silos.Count)
            throw Violation($"{view.Leases.Length} leases for {_silos.Count} silos");
        if (view.Leases.FirstOrDefault(static lease => lease.Held != lease.Permits) is { } lease)
            throw Violation($"{lease.Incarnation} holds {lease.Held} with {lease.Permits} permits");

        int whole = Math.Min(view.Shared, _silos.Sum(static silo => silo.Ceiling));
        if (view.Held != whole) throw Violation($"{view.Held} of {whole} permits are held");
        if (_silos.Sum(static silo => silo.Permits) != whole) throw Violation("silos and ledger count differently");
    }

    private void CheckInUse(string when)
    {
        int floors = _silos.Count * Settings.Floor;
        int wanted = _silos.Sum(silo => Math.Min(silo.Pool.Demand, silo.Ceiling));
        int idle = _silos.Sum(silo => Math.Max(0, Settings.Floor - Math.Min(silo.Pool.Demand, silo.Ceiling)));
        int available = Math.Min(Limit, wanted + idle) - floors;
        int used = _silos.Sum(silo => Math.Max(0, silo.Pool.Used - Settings.Floor));
        if (used < LeastInUse * available)
            throw Violation($"{used} of {available} permits above the floors are in use, when {when}");
    }

    private void CheckFair()
    {
        int least = _silos.Min(static silo => silo.Permits), most = _silos.Max(static silo => silo.Permits);
        if (most - least > 1) throw Violation($"saturated silos have from {least} to {most} permits");
    }
}
