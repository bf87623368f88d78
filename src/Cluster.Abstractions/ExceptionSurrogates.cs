namespace UPool.Cluster;

// The pool does not reference Orleans, so its exceptions get their codecs here. Without one the caller would see a
// CodecNotFoundException and the real error would be lost. Inner exceptions are not sent: the caller may not have their
// type, and a driver's message may hold a parameter's value (INV-8).

/// <summary>A <see cref="RentRefusedException"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.RentRefusedException")]
internal struct RentRefusedSurrogate
{
    /// <summary>Why the rent was refused.</summary>
    [Id(0)] public RefusalReason Reason { get; set; }

    /// <summary>The message of the refusal.</summary>
    [Id(1)] public string Message { get; set; }
}

/// <summary>A <see cref="DeadlineExceededException"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.DeadlineExceededException")]
internal struct DeadlineExceededSurrogate
{
    /// <summary>The message, which names the operation that did not end in time.</summary>
    [Id(0)] public string Message { get; set; }
}

/// <summary>An <see cref="OutcomeUnknownException"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.OutcomeUnknownException")]
internal struct OutcomeUnknownSurrogate
{
    /// <summary>The message, which names the request that was sent and not answered.</summary>
    [Id(0)] public string Message { get; set; }
}

/// <summary>A <see cref="TransactionEndedException"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.TransactionEndedException")]
internal struct TransactionEndedSurrogate
{
    /// <summary>The message, which names the request that was not sent, and the reason.</summary>
    [Id(0)] public string Message { get; set; }

    /// <summary>Whether something of the transaction may be stored.</summary>
    [Id(1)] public bool MayHaveCommitted { get; set; }
}

/// <summary>A <see cref="ConnectionSeveredException"/> on the wire.</summary>
[GenerateSerializer, Immutable]
[Alias("UPool.ConnectionSeveredException")]
internal struct ConnectionSeveredSurrogate
{
    /// <summary>The message, which names the connection that was taken away, and the reason.</summary>
    [Id(0)] public string Message { get; set; }
}

/// <summary>Carries <see cref="RentRefusedException"/>.</summary>
[RegisterConverter]
internal sealed class RentRefusedConverter : IConverter<RentRefusedException, RentRefusedSurrogate>
{
    /// <inheritdoc/>
    public RentRefusedException ConvertFromSurrogate(in RentRefusedSurrogate surrogate) =>
        new(surrogate.Reason, surrogate.Message);

    /// <inheritdoc/>
    public RentRefusedSurrogate ConvertToSurrogate(in RentRefusedException value) =>
        new() { Reason = value.Reason, Message = value.Message };
}

/// <summary>Carries <see cref="DeadlineExceededException"/>.</summary>
[RegisterConverter]
internal sealed class DeadlineExceededConverter : IConverter<DeadlineExceededException, DeadlineExceededSurrogate>
{
    /// <inheritdoc/>
    public DeadlineExceededException ConvertFromSurrogate(in DeadlineExceededSurrogate surrogate) =>
        new(surrogate.Message);

    /// <inheritdoc/>
    public DeadlineExceededSurrogate ConvertToSurrogate(in DeadlineExceededException value) =>
        new() { Message = value.Message };
}

/// <summary>Carries <see cref="OutcomeUnknownException"/>.</summary>
[RegisterConverter]
internal sealed class OutcomeUnknownConverter : IConverter<OutcomeUnknownException, OutcomeUnknownSurrogate>
{
    /// <inheritdoc/>
    public OutcomeUnknownException ConvertFromSurrogate(in OutcomeUnknownSurrogate surrogate) => new(surrogate.Message);

    /// <inheritdoc/>
    public OutcomeUnknownSurrogate ConvertToSurrogate(in OutcomeUnknownException value) =>
        new() { Message = value.Message };
}

/// <summary>Carries <see cref="ConnectionSeveredException"/>.</summary>
[RegisterConverter]
internal sealed class ConnectionSeveredConverter : IConverter<ConnectionSeveredException, ConnectionSeveredSurrogate>
{
    /// <inheritdoc/>
    public ConnectionSeveredException ConvertFromSurrogate(in ConnectionSeveredSurrogate surrogate) =>
        new(surrogate.Message);

    /// <inheritdoc/>
    public ConnectionSeveredSurrogate ConvertToSurrogate(in ConnectionSeveredException value) =>
        new() { Message = value.Message };
}

/// <summary>Carries <see cref="TransactionEndedException"/>.</summary>
[RegisterConverter]
internal sealed class TransactionEndedConverter : IConverter<TransactionEndedException, TransactionEndedSurrogate>
{
    /// <inheritdoc/>
    public TransactionEndedException ConvertFromSurrogate(in TransactionEndedSurrogate surrogate) =>
        new(surrogate.Message, surrogate.MayHaveCommitted);

    /// <inheritdoc/>
    public TransactionEndedSurrogate ConvertToSurrogate(in TransactionEndedException value) =>
        new() { Message = value.Message, MayHaveCommitted = value.MayHaveCommitted };
}
