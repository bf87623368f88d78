namespace UPool.Management;

/// <summary>What keeps a process from serving more.</summary>
internal enum Limit
{
    /// <summary>Nothing: nobody waits.</summary>
    None,

    /// <summary>The processors. More processes help, where there are more processors.</summary>
    Cpu,

    /// <summary>The pool's own bound, <c>UPool:Pool:MaxConnections</c>.</summary>
    Connections,

    /// <summary>The connections that the deployment's budget leaves this process. More processes would share the
    /// same.</summary>
    Budget,

    /// <summary>The database: it does not answer, or takes longer than it did.</summary>
    Database,
}

/// <summary>What is known of a process at one moment.</summary>
/// <param name="CpuShare">How much of its processors it used since the last look, 0 to 1.</param>
/// <param name="IsWaiting">Whether somebody waits for a connection, or was refused one since the last look.</param>
/// <param name="HasProblem">Whether something ails the way to the database.</param>
/// <param name="Use">How long connections are held: the median of the newest rents; 0 when there were none.</param>
/// <param name="Permits">The connections that the pool may have.</param>
/// <param name="MaxConnections">The most that it could be given.</param>
internal readonly record struct LimitSample(
    double CpuShare, bool IsWaiting, bool HasProblem, TimeSpan Use, int Permits, int MaxConnections);

/// <summary>
/// Tells the limits apart. Waiting callers alone do not say whether more connections would help: they would, while
/// statements take what they always took, and they would not, when the processors are busy or the statements have
/// become slower under the very load there is.
/// </summary>
internal sealed class LimitJudge
{
    // Above it a process has no reserve for a burst. Not higher, because what else runs on the machine counts too.
    private const double BusyCpuShare = 0.8;

    // Statements vary twofold by what is asked for; three times as long is not chance.
    private const int SlowFactor = 3;

    // The best time is forgotten by half within an hour of looks every five seconds: what was fast last week, with half
    // of the rows, is no measure for today.
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

        // Not one permit: nothing ever ran that could be slow.
        if (isSlow && sample.Permits > 0) return Limit.Database;

        return sample.Permits < sample.MaxConnections ? Limit.Budget : Limit.Connections;
    }
}
