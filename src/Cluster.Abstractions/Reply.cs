namespace UPool.Cluster;

/// <summary>How a call to a worker ended.</summary>
public enum ReplyStatus
{
    /// <summary>Done; the value is set.</summary>
    Ok = 0,

    /// <summary>The requested item does not exist.</summary>
    NotFound,

    /// <summary>The input is wrong; the detail names the error. Nothing was changed.</summary>
    Invalid,

    /// <summary>The pool refused; see <see cref="Reply{T}.Refusal"/>. Nothing was sent to the database.</summary>
    Refused,

    /// <summary>The database failed the statement. Nothing was changed.</summary>
    Failed,

    /// <summary>The database or the cluster cannot be reached. Nothing was changed.</summary>
    Unavailable,

    /// <summary>A read did not end by its deadline, or a transaction did not before its commit was sent and was rolled
    /// back. Nothing was changed.</summary>
    DeadlineExceeded,

    /// <summary>A write whose outcome cannot be known (INV-9).</summary>
    OutcomeUnknown,
}

/// <summary>The answer of a worker: a value, or the reason why there is none. Crosses processes; never an
/// exception.</summary>
/// <typeparam name="T">The value; must be serializable by Orleans.</typeparam>
[GenerateSerializer, Immutable]
[Alias("UPool.Reply`1")]
public sealed record Reply<T>
{
    /// <summary>How the call ended.</summary>
    [Id(0)] public required ReplyStatus Status { get; init; }

    /// <summary>The value if <see cref="Status"/> is <see cref="ReplyStatus.Ok"/>.</summary>
    [Id(1)] public T? Value { get; init; }

    /// <summary>Why the pool refused; 0 unless <see cref="Status"/> is Refused or Unavailable.</summary>
    [Id(2)] public RefusalReason Refusal { get; init; }

    /// <summary>The error, in one line for a person; holds no secret and no parameter value.</summary>
    [Id(3)] public string? Detail { get; init; }
}

/// <summary>Makes replies.</summary>
public static class Reply
{
    /// <summary>A value.</summary>
    public static Reply<T> Ok<T>(T value) => new() { Status = ReplyStatus.Ok, Value = value };

    /// <summary>The requested item does not exist.</summary>
    public static Reply<T> NotFound<T>() => new() { Status = ReplyStatus.NotFound, Detail = "not found" };

    /// <summary>The input is wrong.</summary>
    public static Reply<T> Invalid<T>(string detail) => new() { Status = ReplyStatus.Invalid, Detail = detail };

    /// <summary>The pool refused.</summary>
    public static Reply<T> Refused<T>(RefusalReason reason, string? detail = null) => new()
    {
        Status = reason == RefusalReason.Unavailable ? ReplyStatus.Unavailable : ReplyStatus.Refused,
        Refusal = reason,
        Detail = detail,
    };

    /// <summary>Any other status.</summary>
    public static Reply<T> Ended<T>(ReplyStatus status, string? detail = null) =>
        new() { Status = status, Detail = detail };
}
