namespace UPool.Core;

/// <summary>An open under way. Guarded by the pool's lock.</summary>
internal sealed class Opening(int generation)
{
    /// <summary>The generation of the pool in which it began; a clear or the end of a lease begins another.</summary>
    public int Generation => generation;

    /// <summary>The changed credentials that it tries; null for those of the connector.</summary>
    public ICandidate? Candidate { get; set; }

    /// <summary>Its number in the order in which opens were sent; larger than all others until it is sent.</summary>
    public long Number { get; set; } = long.MaxValue;

    /// <summary>Whether it takes longer than a rent can wait for it.</summary>
    public bool IsLate { get; set; }

    /// <summary>Whether the server has not answered it within the open timeout.</summary>
    public bool IsUnanswered { get; set; }

    public bool HasEnded { get; set; }
}
