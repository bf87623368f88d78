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

        // Readers and the one writer do not block each other; kept in the file, so a repetition costs nothing.
        using SqliteCommand command = inner.CreateCommand();
        command.CommandText = "PRAGMA journal_mode = WAL";
        await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
    }

    public override Task PingAsync() => Task.CompletedTask;

    /// <summary>Opens the file anew: SQLite has no reset, and an open costs less than undoing what a renter may have
    /// done.</summary>
    public override async Task ResetAsync()
    {
        await inner.CloseAsync().ConfigureAwait(false);
        await OpenAsync().ConfigureAwait(false);
    }

    public override Task KillStatementAsync() => Task.CompletedTask;

    public override async Task CloseAsync() => await inner.DisposeAsync().ConfigureAwait(false);
}
