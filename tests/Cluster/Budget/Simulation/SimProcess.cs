namespace UPool.Cluster.Tests.Budget.Simulation;

/// <summary>One incarnation of a process: it has its own clock, and may stop or die before any of its steps.</summary>
internal class SimProcess
{
    // Clocks run up to 1 % fast or slow and start at any time.
    private const double MaxDrift = 0.01;

    private readonly double _rate;
    private readonly TimeSpan _offset;

    public SimProcess(SimCluster cluster, string name)
    {
        Cluster = cluster;
        Name = name;
        _rate = 1 + (cluster.Random.NextDouble() * 2 - 1) * MaxDrift;
        _offset = TimeSpan.FromSeconds(cluster.Random.Next(0, 10_000));
    }

    public SimCluster Cluster { get; }

    public string Name { get; }

    public bool IsDead { get; private set; }

    /// <summary>Whether no fault hits this process.</summary>
    public bool IsImmune { get; set; }

    /// <summary>The end of its stop, in true time.</summary>
    public long StoppedUntil { get; private set; }

    public bool IsStopped => Cluster.Time < StoppedUntil;

    /// <summary>Its own monotonic clock.</summary>
    public TimeSpan Now => _offset + TimeSpan.FromMicroseconds(Cluster.Time * _rate);

    /// <summary>The true time at which its own clock will show a time.</summary>
    public long TrueTime(TimeSpan own) => (long)Math.Ceiling((own - _offset).TotalMicroseconds / _rate);

    /// <summary>Runs a step of this process after a delay; a dead process never runs it, a stopped one when it
    /// resumes.</summary>
    public void Then(SimPoint point, long delay, Action step) =>
        Cluster.Scheduler.After(delay, () => Enter(point, step));

    /// <summary>The same, at a time of its own clock.</summary>
    public void ThenAt(SimPoint point, TimeSpan own, Action step) =>
        Cluster.Scheduler.At(TrueTime(own), () => Enter(point, step));

    public void Stop(long duration)
    {
        if (IsImmune) return;

        Cluster.Note(Name, "stops for ms", duration / 1000);
        StoppedUntil = Math.Max(StoppedUntil, Cluster.Time + duration);
    }

    /// <summary>Dies; after a power loss the server does not notice.</summary>
    public void Crash(bool isPowerLoss)
    {
        if (IsDead || IsImmune) return;

        IsDead = true;
        Cluster.Note(Name, "dies");
        Cluster.Server.LoseClient(this, isPowerLoss);
        Cluster.OnDied(this);
    }

    /// <summary>Ends normally.</summary>
    public void Exit() => Crash(isPowerLoss: false);

    private void Enter(SimPoint point, Action step)
    {
        if (IsDead) return;
        if (IsStopped)
        {
            Resume(step);
            return;
        }

        switch (IsImmune ? SimStrike.None : Cluster.Strike(point))
        {
            case SimStrike.Stop:
                Stop(Cluster.StopDuration());
                Resume(step);
                break;
            case SimStrike.Crash:
                Crash(Cluster.Random.Next(3) == 0);
                break;
            default:
                step();
                break;
        }
    }

    private void Resume(Action step) => Cluster.Scheduler.At(StoppedUntil, () =>
    {
        if (IsDead) return;
        if (IsStopped) Resume(step);
        else step();
    });
}

internal enum SimStrike
{
    None,
    Stop,
    Crash,
}
