using System.Data.Common;

namespace UPool.Core;

/// <summary>
/// A failure of the driver without the driver's and the server's words, which name the account and may quote more
/// (INV-8): one plain line, the server's number and its SQLSTATE. For what leaves the pool as the cause of something.
/// </summary>
internal sealed class StrippedException : DbException
{
    // Where MySqlConnector documents the server's number; DbException itself has no place for it.
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
