namespace UPool.Core;

/// <summary>The pool's counts, taken together under its lock.</summary>
internal readonly record struct PoolCounts(int Permits, int Used, int Idle, int Opening, int Closing, int Pending)
{
    /// <summary>Sessions on a former server, which hold no permit; <see cref="Closing"/> does not include those that
    /// are closing.</summary>
    public int Elsewhere { get; init; }

    /// <summary>The used ones among them.</summary>
    public int UsedElsewhere { get; init; }

    public override string ToString() =>
        $"permits {Permits}, used {Used}, idle {Idle}, opening {Opening}, closing {Closing}, pending {Pending}"
        + (Elsewhere == 0 ? "" : $", on a former server {Elsewhere}");
}
