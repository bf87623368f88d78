namespace UPool.Cluster.Tests.Budget.Simulation;

/// <content>Faults, and how the cluster's membership reacts.</content>
internal sealed partial class SimCluster
{
    private int _missingFor;
    private long _splitUntil;

    /// <summary>Draws whether a fault hits a process at this point.</summary>
    public SimStrike Strike(SimPoint point)
    {
        if (Faults.Stops == 0 && Faults.Crashes == 0) return SimStrike.None;
        if (Faults.Only is { } only && only != point) return SimStrike.None;

        double chance = Random.NextDouble();
        if (chance < Faults.Crashes)
        {
            // The process is restarted.
            Scheduler.After(Millis(500, 8_000), () => StartSilo().Pool.SetDemand(Random.Next(2 * Ceiling)));
            return SimStrike.Crash;
        }

        return chance < Faults.Crashes + Faults.Stops ? SimStrike.Stop : SimStrike.None;
    }

    /// <summary>The duration of a stop: often short, sometimes beyond lease and grace.</summary>
    public long StopDuration() => Random.NextInt64(Random.Next(3) switch
    {
        0 => Math.Min(SimScheduler.Second, Faults.LongestStop),
        1 => Math.Min(5 * SimScheduler.Second, Faults.LongestStop),
        _ => Faults.LongestStop,
    });

    /// <summary>Starts a second activation beside the current one, which does not know of it.</summary>
    public void Split(long duration)
    {
        if (_silos.Count < 2) return;

        Activate();
        _splitUntil = Time + duration;
    }

    public void Activate()
    {
        SimSilo[] hosts = [.. _silos.Where(static silo => !silo.IsStopped)];
        if (hosts.Length == 0) return;

        _current = new SimCoordinator(this, hosts[Random.Next(hosts.Length)], $"activation-{++_lastName}");
        _coordinators.Add(_current);
        _coordinators.RemoveAll(static one => one.IsGone);
    }

    private SimCoordinator? Locate()
    {
        if (Time < _splitUntil && _coordinators.Count > 1)
            return _coordinators[Random.Next(_coordinators.Count)];

        return _current is { IsGone: false } ? _current : null;
    }

    private void EverySecond()
    {
        Scheduler.After(SimScheduler.Second, EverySecond);
        WatchCoordinator();
        if (Time >= _splitUntil)
        {
            // The grain directory settles on one; a stopped process learns of it when it resumes, or later.
            foreach (SimCoordinator old in _coordinators)
            {
                if (old != _current && !old.Host.IsStopped && Random.Next(10) == 0) old.Deactivate();
            }
        }

        _dead.RemoveAll(static silo => silo.ServerSessions == 0 && !silo.Pool.IsOpening);
        if (Happens(Faults.CoordinatorLosses)) LoseCoordinator();
        if (Happens(Faults.Splits)) Split(Millis(500, 20_000));
        if (Happens(Faults.Freezes)) Server.Freeze(Millis(50, Random.Next(4) == 0 ? 25_000 : 3_000));
        if (Happens(Faults.Restarts))
        {
            int lostWrites = Random.Next(3) == 0 ? Random.Next(12) : 0;
            Server.Restart(Millis(100, Random.Next(4) == 0 ? 25_000 : 4_000), lostWrites);
        }

        for (double rate = Faults.SessionLosses; rate > 0; rate--)
        {
            if (Happens(rate)) Server.EndOne();
        }

        if (_silos.Count == 0) return;
        if (Happens(Faults.DemandChanges)) AnySilo().Pool.SetDemand(Random.Next(2 * Ceiling));
        if (Happens(Faults.Partitions)) Partition(AnySilo(), Random.NextInt64(40 * SimScheduler.Second));
        if (Happens(Faults.Leaves) && AnySilo() is { IsLeaving: false, IsImmune: false } leaving)
        {
            leaving.Leave();
            StartSilo().Pool.SetDemand(Random.Next(2 * Ceiling));
        }
    }

    /// <summary>Activates a coordinator elsewhere if the current one has ended or its process does not reply: seconds
    /// later after a crash, at once after a clean stop.</summary>
    private void WatchCoordinator()
    {
        bool isMissing = _current is null || _current.IsGone || _current.Host.IsStopped;
        _missingFor = isMissing ? _missingFor + 1 : 0;
        if (!isMissing) return;

        int patience = _current is null || _current.IsOver ? 0 : 6;
        if (_missingFor > Random.Next(patience + 1)) Activate();
    }

    private void LoseCoordinator()
    {
        if (_current is not { IsGone: false } current) return;

        switch (Random.Next(3))
        {
            case 0:
                current.Deactivate();
                break;
            case 1:
                current.Host.Stop(StopDuration());
                break;
            default:
                current.Host.Crash(Random.Next(3) == 0);
                Scheduler.After(Millis(500, 8_000), () => StartSilo().Pool.SetDemand(Random.Next(2 * Ceiling)));
                break;
        }
    }

    private void Partition(SimSilo silo, long duration)
    {
        if (!silo.IsImmune) silo.PartitionedUntil = Time + duration;
    }

    private SimSilo AnySilo() => _silos[Random.Next(_silos.Count)];

    private bool Happens(double rate) => rate > 0 && Random.NextDouble() < rate;
}
