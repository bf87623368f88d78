using System.Diagnostics.CodeAnalysis;

namespace UPool;

/// <summary>The answer to a rent: a connection, or the reason why there is none. A value, so that no refusal throws.</summary>
public readonly struct RentResult
{
    private readonly string? _message;
    private readonly Exception? _cause;

    internal RentResult(PooledConnection connection) => Connection = connection;

    internal RentResult(RefusalReason refusal, string message, Exception? cause)
    {
        Refusal = refusal;
        _message = message;
        _cause = cause;
    }

    /// <summary>Whether a connection was rented.</summary>
    [MemberNotNullWhen(true, nameof(Connection))]
    public bool IsRented => Connection is not null;

    /// <summary>The rented, open connection; disposing it returns it. Null when the rent was refused.</summary>
    public PooledConnection? Connection { get; }

    /// <summary>Why the rent was refused; meaningless when it was not.</summary>
    public RefusalReason Refusal { get; }

    /// <summary>The refusal in words, with a snapshot of the pool; empty when the rent was not refused.</summary>
    public string Message => _message ?? "";

    /// <summary>The connection, or the refusal thrown.</summary>
    /// <exception cref="RentRefusedException">The rent was refused.</exception>
    public PooledConnection GetConnectionOrThrow() =>
        Connection ?? throw new RentRefusedException(Refusal, Message, _cause);
}
