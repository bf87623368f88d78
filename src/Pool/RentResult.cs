using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool;

/// <summary>The answer to a rent: a connection, or the reason why there is none. A value, so that no refusal
/// throws.</summary>
public readonly struct RentResult
{
    private readonly RentRefusal? _refusal;

    internal RentResult(PooledConnection connection) => Connection = connection;

    internal RentResult(RentRefusal refusal) => _refusal = refusal;

    /// <summary>Whether a connection was rented.</summary>
    [MemberNotNullWhen(true, nameof(Connection))]
    public bool IsRented => Connection is not null;

    /// <summary>The rented, open connection; disposing it returns it. Null when the rent was refused.</summary>
    public PooledConnection? Connection { get; }

    /// <summary>Why the rent was refused; 0 when it was not.</summary>
    public RefusalReason Refusal => _refusal?.Reason ?? 0;

    /// <summary>The refusal in words, with the pool's counts; empty when the rent was not refused.</summary>
    public string Message => _refusal?.Message ?? "";

    /// <summary>The connection, or the refusal thrown.</summary>
    /// <exception cref="RentRefusedException">The rent was refused.</exception>
    public PooledConnection GetConnectionOrThrow() =>
        Connection ?? throw new RentRefusedException(Refusal, Message, _refusal?.Cause);
}
