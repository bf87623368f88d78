namespace UPool.Core;

/// <summary>The pool's counts, taken together under its lock.</summary>
internal readonly record struct PoolCounts(int Permits, int Used, int Idle, int Opening, int Closing, int Pending)
{
    /// <summary>Sessions on a server that is not the present one, which hold no permit; closing ones among them are not
    /// in <see cref="Closing"/>.</summary>
    public int Elsewhere { get; init; }

    /// <summary>Those of them that are used.</summary>
    public int UsedElsewhere { get; init; }

    public override string ToString() =>
        $"permits {Permits}, used {Used}, idle {Idle}, opening {Opening}, closing {Closing}, pending {Pending}"
        + (Elsewhere == 0 ? "" : $", on a former server {Elsewhere}");
}
