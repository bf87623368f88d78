using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool;

/// <summary>The result of a rent: a connection, or the reason for the refusal. A value, so a refusal does not
/// throw.</summary>
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

    /// <summary>The refusal as text, with the pool's counts; empty when the rent was not refused.</summary>
    public string Message => _refusal?.Message ?? "";

    /// <summary>Returns the connection, or throws the refusal.</summary>
    /// <exception cref="RentRefusedException">The rent was refused.</exception>
    public PooledConnection GetConnectionOrThrow() =>
        Connection ?? throw new RentRefusedException(Refusal, Message, _refusal?.Cause);
}
