namespace UPool.Core;

/// <summary>The pool's counts, taken together under its lock.</summary>
internal readonly record struct PoolCounts(int Permits, int Used, int Idle, int Opening, int Closing, int Pending)
{
    public override string ToString() =>
        $"permits {Permits}, used {Used}, idle {Idle}, opening {Opening}, closing {Closing}, pending {Pending}";
}
