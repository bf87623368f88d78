using System.Data.Common;

using Microsoft.Data.Sqlite;

using UPool.Core;

namespace UPool.Sqlite;

/// <summary>One open SQLite file.</summary>
internal sealed class SqlitePhysicalConnection(SqliteConnection inner) : PhysicalConnection
{
    public override DbConnection Inner => inner;

    public override bool CanKill => false;

    public async Task OpenAsync()
    {
        await inner.OpenAsync(CancellationToken.None).ConfigureAwait(false);

        // Readers and the one writer do not block each other. The file keeps the mode, so setting it again costs
        // nothing.
        using SqliteCommand command = inner.CreateCommand();
        command.CommandText = "PRAGMA journal_mode = WAL";
        await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
    }

    public override Task PingAsync() => Task.CompletedTask;

    /// <summary>Reopens the file: SQLite has no reset, and an open costs less than undoing the changes of a
    /// renter.</summary>
    public override async Task ResetAsync()
    {
        await inner.CloseAsync().ConfigureAwait(false);
        await OpenAsync().ConfigureAwait(false);
    }

    public override Task<bool> IsInTransactionAsync() =>
        Task.FromResult(SQLitePCL.raw.sqlite3_get_autocommit(inner.Handle) == 0);

    public override Task MarkTransactionAsync()
    {
        Execute("SAVEPOINT upool_mark");
        return Task.CompletedTask;
    }

    public override Task<bool> TakeMarkAsync()
    {
        try
        {
            Execute("RELEASE upool_mark");
            return Task.FromResult(true);
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode == SQLitePCL.raw.SQLITE_ERROR)
        {
            return Task.FromResult(false);
        }
    }

    public override Task KillStatementAsync() => Task.CompletedTask;

    public override async Task CloseAsync() => await inner.DisposeAsync().ConfigureAwait(false);

    private void Execute(string text)
    {
        using SqliteCommand command = inner.CreateCommand();
        command.Transaction = Transaction as SqliteTransaction;
        command.CommandText = text;
        command.ExecuteNonQuery();
    }
}
