using System.Data.Common;

namespace UPool.Core;

/// <summary>
/// A failure of the driver without the messages of driver and server, which name the account and may quote more
/// (INV-8): one line, the server's number and its SQLSTATE. For failures that leave the pool as a cause.
/// </summary>
internal sealed class StrippedException : DbException
{
    // The key that MySqlConnector documents for the server's number; DbException has no property for it.
    private const string NumberKey = "Server Error Code";

    public StrippedException(string message, Exception original)
        : base(message)
    {
        SqlState = (original as DbException)?.SqlState;
        if (original.Data[NumberKey] is { } number) Data[NumberKey] = number;
    }

    /// <inheritdoc/>
    public override string? SqlState { get; }
}
