namespace UPool.Management;

/// <summary>The resource that keeps a process from serving more.</summary>
internal enum Limit
{
    /// <summary>None: no caller waits.</summary>
    None,

    /// <summary>The processors. More processes help only with more processors.</summary>
    Cpu,

    /// <summary>The pool's own bound, <c>UPool:Pool:MaxConnections</c>.</summary>
    Connections,

    /// <summary>The process's share of the deployment's budget. More processes would share the same budget.</summary>
    Budget,

    /// <summary>The database: it does not answer, or is slower than it was.</summary>
    Database,
}

/// <summary>The measurements of a process at one moment.</summary>
/// <param name="CpuShare">The share of its processors that it used since the previous sample, 0 to 1.</param>
/// <param name="IsWaiting">Whether a rent is pending, or one was refused since the previous sample.</param>
/// <param name="HasProblem">Whether the process's health reports a problem.</param>
/// <param name="Use">How long connections are used: the median of the newest rents; 0 if there were none.</param>
/// <param name="Permits">The connections that the pool may have.</param>
/// <param name="MaxConnections">The most permits that it can get.</param>
internal readonly record struct LimitSample(
    double CpuShare, bool IsWaiting, bool HasProblem, TimeSpan Use, int Permits, int MaxConnections);

/// <summary>
/// Tells the limits apart. Waiting callers alone do not show whether more connections would help: they would as long as
/// statements are as fast as usual, but not if the processors are busy or the load has slowed the statements down.
/// </summary>
internal sealed class LimitJudge
{
    // Above it a process has no reserve for a burst. Not higher, because other programs on the machine need CPU too.
    private const double BusyCpuShare = 0.8;

    // Normal variation between statements is twofold; threefold is not chance.
    private const int SlowFactor = 3;

    // Doubles the best time within an hour of samples every five seconds: last week's time, with half of the rows, is
    // no measure for today.
    private const double Forgetting = 1.001;

    private double _bestTicks = double.PositiveInfinity;

    public Limit Judge(LimitSample sample)
    {
        _bestTicks *= Forgetting;
        bool isSlow = sample.Use.Ticks > _bestTicks * SlowFactor;
        if (sample.Use > TimeSpan.Zero) _bestTicks = Math.Min(_bestTicks, sample.Use.Ticks);

        if (sample.HasProblem) return Limit.Database;
        if (sample.CpuShare >= BusyCpuShare) return Limit.Cpu;
        if (!sample.IsWaiting) return Limit.None;

        // Without a permit no statement runs, so none is slow.
        if (isSlow && sample.Permits > 0) return Limit.Database;

        return sample.Permits < sample.MaxConnections ? Limit.Budget : Limit.Connections;
    }
}
