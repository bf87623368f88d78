namespace UPool.Cluster;

/// <summary>
/// A <see cref="Deadline"/> on the wire: the time that was left when it was sent. It counts anew from its arrival, so
/// the clocks of two machines need not agree; the travel time is not deducted. Inside a process Orleans copies the
/// struct as it is, without this conversion.
/// </summary>
[GenerateSerializer, Immutable]
[Alias("UPool.Deadline")]
internal struct DeadlineSurrogate
{
    /// <summary>The time left; <see cref="Timeout.InfiniteTimeSpan"/> if there is no deadline.</summary>
    [Id(0)] public TimeSpan Remaining { get; set; }
}

/// <summary>Turns deadlines into remaining time and back.</summary>
[RegisterConverter]
internal sealed class DeadlineConverter : IConverter<Deadline, DeadlineSurrogate>
{
    /// <inheritdoc/>
    public Deadline ConvertFromSurrogate(in DeadlineSurrogate surrogate) => Deadline.After(surrogate.Remaining);

    /// <inheritdoc/>
    public DeadlineSurrogate ConvertToSurrogate(in Deadline value) => new() { Remaining = value.Remaining() };
}
