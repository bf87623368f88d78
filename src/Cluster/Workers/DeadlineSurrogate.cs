using Orleans.Serialization.Cloning;

namespace UPool.Cluster.Workers;

/// <summary>
/// A <see cref="Deadline"/> on the wire: the time that was left when it was sent. It is counted anew from its arrival,
/// so the clocks of two machines need not agree; what the journey took is not deducted.
/// </summary>
[GenerateSerializer, Immutable]
[Alias("UPool.Deadline")]
public struct DeadlineSurrogate
{
    /// <summary>The time left; <see cref="Timeout.InfiniteTimeSpan"/> when there is no deadline.</summary>
    [Id(0)] public TimeSpan Remaining { get; set; }
}

/// <summary>Turns deadlines into remaining time and back.</summary>
[RegisterConverter]
public sealed class DeadlineConverter : IConverter<Deadline, DeadlineSurrogate>
{
    /// <inheritdoc/>
    public Deadline ConvertFromSurrogate(in DeadlineSurrogate surrogate) => Deadline.After(surrogate.Remaining);

    /// <inheritdoc/>
    public DeadlineSurrogate ConvertToSurrogate(in Deadline value) => new() { Remaining = value.Remaining() };
}

/// <summary>In one process a deadline is passed on as it is. Without this a call inside a silo would go through the
/// surrogate: two clock readings, and a deadline that moves by the time between them.</summary>
[RegisterCopier]
public sealed class DeadlineCopier : ShallowCopier<Deadline>;
