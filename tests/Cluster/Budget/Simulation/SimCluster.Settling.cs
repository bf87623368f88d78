using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget.Simulation;

/// <content>What must be true once nothing goes wrong any more.</content>
internal sealed partial class SimCluster
{
    // All that was begun while things went wrong is over by then: stops, partitions and long statements of up to 40
    // seconds, then a lease with its grace, and what its reclaim takes.
    private const long CalmDown = 90 * SimScheduler.Second;

    // In use, of the permits above the floors, once settled under saturating demand.
    private const double LeastInUse = 0.97;

    // As many renewal intervals may a change of demand take.
    private const int SettlingIntervals = 3;

    // One open after the other, at this server.
    private const long OpenTime = 20 * SimScheduler.Millisecond;

    private readonly List<SimMove> _moves = [];

    /// <summary>What the load's moves to one silo have cost.</summary>
    public IReadOnlyList<SimMove> Moves => _moves;

    /// <summary>Ends all faults, waits, and wants every permit back and in use where the load is, twice
    /// moved.</summary>
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

    /// <summary>Ends all faults, and waits until all that was begun is over.</summary>
    public void Calm()
    {
        Faults = SimFaults.None;
        RunFor(CalmDown);
    }

    public void SetDemand(int demand)
    {
        foreach (SimSilo silo in _silos.ToArray()) silo.Pool.SetDemand(demand);
    }

    /// <summary>Only this one has work from now on: wants the permits there in time, and notes what was lost.</summary>
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

    /// <summary>Nothing is held for the dead, nothing waits, and the sum is whole.</summary>
    private void CheckAllIsBack()
    {
        BudgetView view = Ledger?.View(_current!.Now) ?? throw Violation("there is no coordinator");
        if (view.IsLearning || view.Orphans > 0) throw Violation("the ledger has not come to rest");
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
