using System.Data;
using System.Data.Common;

using Microsoft.Extensions.Logging;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>Opens sessions with MySQL and MariaDB for a pool.</summary>
internal sealed class MySqlServerConnector : IConnector
{
    private readonly MySqlDataSource _dataSource;
    private readonly KillLane _killLane;

    public MySqlServerConnector(
        MySqlConnectionStringBuilder settings, KillLane killLane, ILoggerFactory? loggers)
    {
        _killLane = killLane;
        Target = MySqlSettings.Describe(settings);
        var builder = new MySqlDataSourceBuilder(settings.ConnectionString);
        if (loggers is not null) builder.UseLoggerFactory(new GuardedLoggerFactory(loggers));
        _dataSource = builder.Build();
    }

    /// <summary>Where each session says whose it is before its first use; null without a budget.</summary>
    public SessionRegister? Register { get; init; }

    /// <summary>Whether these are control connections. They may be used although the register's table is missing,
    /// because they have to make it; they register at the first reset that finds it.</summary>
    public bool IsControl { get; init; }

    public SqlDialect Dialect => SqlDialect.MySql;

    public string Target { get; }

    public string? Problem => _killLane.Problem;

    public event Action? ProblemFound
    {
        add => _killLane.ProblemFound += value;
        remove => _killLane.ProblemFound -= value;
    }

    public async Task<PhysicalConnection> OpenAsync()
    {
        MySqlConnection inner = _dataSource.CreateConnection();
        SessionFacts? facts = null;
        try
        {
            await inner.OpenAsync(CancellationToken.None).ConfigureAwait(false);
            facts = await SessionFacts.ReadAsync(inner).ConfigureAwait(false);

            // What a reset brings back, a new session has from the start.
            if (facts.NeedsRestore)
            {
                using var restore = new MySqlCommand(facts.Restore, inner) { CommandTimeout = 0 };
                await restore.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            }

            bool isLate = Register is not null && !await RegisterAsync(inner, facts).ConfigureAwait(false);
            return new MySqlPhysicalConnection(inner, facts, _killLane) { ToRegister = isLate ? Register : null };
        }
        catch
        {
            await CloseFailedAsync(inner, facts).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// A session that fails after its handshake counts on the server as any other: the open has failed, and its permit
    /// is free, when the server has dropped it (INV-1).
    /// </summary>
    private async Task CloseFailedAsync(MySqlConnection inner, SessionFacts? facts)
    {
        // Without the facts the id alone is known, and only while the session lives; a lost one went with its socket.
        ServerSession? session = facts is not null ? (facts.IsProxied ? null : facts.Session)
            : inner.State == ConnectionState.Open ? new ServerSession(unchecked((uint)inner.ServerThread), "")
            : null;
        Task closing = MySqlPhysicalConnection.CloseDriverAsync(inner, _killLane.Clock);
        try
        {
            await (session is { } known ? _killLane.WaitUntilGoneAsync(known) : closing).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // Nobody is left to ask; the process ends.
        }
    }

    private async Task<bool> RegisterAsync(MySqlConnection inner, SessionFacts facts)
    {
        if (IsControl) return await Register!.TryAddControlAsync(inner, facts).ConfigureAwait(false);

        await Register!.AddAsync(inner, facts).ConfigureAwait(false);
        return true;
    }

    public DbCommand CreateCommand() => new MySqlCommand();

    public DbBatch CreateBatch() => new MySqlBatch();

    public DriverFailure Classify(Exception exception) => MySqlErrors.Classify(exception);

    public bool IsCommitRefused(Exception exception) => MySqlErrors.IsCommitRefused(exception);

    public bool MayMeetAnyStatement(Exception exception) => MySqlErrors.MayMeetAnyStatement(exception);

    public string Explain(Exception exception) => MySqlErrors.Explain(exception, Target);

    public ValueTask DisposeAsync() => _dataSource.DisposeAsync();
}
