using System.Data.Common;

using Microsoft.Extensions.Time.Testing;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>State that a session reset does not cover is checked after it, and restored if it differs
/// (INV-5).</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class SessionRestoreTests : IAsyncLifetime
{
    private const int Returns = 20;

    // Differs from the server's default database only in case, which a comparison on the server would not see.
    private static readonly string OtherDatabase = DatabaseServer.DefaultDatabase.ToUpperInvariant();

    private DatabaseServer _server = null!;
    private MySqlPoolFixture _fixture = null!;
    private MySqlConnection _root = null!;
    private PooledDataSource _pool = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await DatabaseServer.StartNewAsync();

        // The control connections' clock does not move, so they send nothing while the server counts statements.
        _fixture = new MySqlPoolFixture(_server.ConnectionString()) { ControlClock = new FakeTimeProvider() };
        _root = await _fixture.ObserveAsync(_server.RootConnectionString);
        _pool = _fixture.CreatePool(o => o.MaxConnections = 1);
    }

    public async ValueTask DisposeAsync()
    {
        await _root.DisposeAsync();
        await _fixture.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Return_OneThingChanged_NextRenterFindsTheSessionAsNew()
    {
        await ExecuteAsync(_root, $"CREATE DATABASE `{OtherDatabase}`; CREATE ROLE r");
        await ExecuteAsync(_root, $"GRANT r TO {DatabaseServer.User}@'%'");
        await ExecuteAsync(_root, $"GRANT ALL ON `{OtherDatabase}`.* TO {DatabaseServer.User}@'%'");
        await using DbConnection first = await _pool.OpenConnectionAsync();
        string? asNew = await DirtySession.FactsAsync(first);
        await first.CloseAsync();
        foreach (string change in (string[])
        [
            "SET ROLE r",
            $"USE `{OtherDatabase}`",
            "USE information_schema",
            "SET NAMES latin1",
            "SET character_set_client = latin1",
            "SET character_set_results = NULL",
            "SET collation_connection = utf8mb4_bin",
            "SET autocommit = 0",
            $"SELECT SQL_CALC_FOUND_ROWS seq FROM {Sql.Sequence(9)} LIMIT 2",
        ])
        {
            await ChangeAsync(change);
            await using DbConnection next = await _pool.OpenConnectionAsync();
            string? found = await DirtySession.FactsAsync(next);
            Assert.True(found == asNew, $"After '{change}': {found}, as new: {asNew}");
        }

        Assert.Equal(1, _pool.Snapshot().Opened);
    }

    [Fact]
    public async Task Return_NothingChanged_SetsNothing()
    {
        await ChangeAsync("SELECT 1");
        Assert.Equal((Returns, Returns * Sql.SetsOfReset), await CountAsync("SELECT 1"));
    }

    // On MySQL the check finds the database already restored by the reset.
    [Fact]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    public async Task Return_DatabaseChangedEachTimeOnMariaDb_LooksEachTime()
    {
        await ChangeAsync("USE information_schema");
        (int looks, int sets) = await CountAsync("USE information_schema");

        // The restore ends with its own SELECT, and sets charset and role.
        Assert.Equal((2 * Returns, 2 * Returns), (looks, sets));
    }

    // On MySQL a reset turns autocommit on, whatever the server's default.
    [Fact]
    [Trait(ServerFamily.OnlyOn, ServerFamily.MariaDb)]
    public async Task Return_ResetLeadsToOtherDefaultsOnMariaDb_IsRestoredWithoutALookFromThenOn()
    {
        await ChangeAsync("DO 1");
        await ExecuteAsync(_root, "SET GLOBAL autocommit = 0");
        await ChangeAsync("DO 1");
        Assert.Equal((Returns, 2 * Returns), await CountAsync("DO 1"));

        await using DbConnection next = await _pool.OpenConnectionAsync();
        Assert.Equal(1, await ScalarAsync(next, "SELECT @@autocommit"));
        Assert.Equal(1, _pool.Snapshot().Opened);
    }

    [Fact]
    public async Task Return_ServerDefaultsToNoAutocommit_NextRenterHasAutocommit()
    {
        await ChangeAsync("DO 1");
        await ExecuteAsync(_root, "SET GLOBAL autocommit = 0");
        for (int i = 0; i < 3; i++) await ChangeAsync("DO 1");

        await using DbConnection next = await _pool.OpenConnectionAsync();
        Assert.Equal(1, await ScalarAsync(next, "SELECT @@autocommit"));
    }

    private async Task ChangeAsync(string change)
    {
        await using (DbConnection connection = await _pool.OpenConnectionAsync())
            await ExecuteAsync(connection, change);
        await UntilAsync(_pool, s => s.Idle == 1);
    }

    /// <summary>The SELECTs and SETs after this number of returns, without the renters' own.</summary>
    private async Task<(int Selects, int Sets)> CountAsync(string change)
    {
        // Wait for their start-up too: the second answer comes after all work of the first.
        for (int turn = 0; turn < 2; turn++) await _fixture.Control.KillLane.AnswerAsync();
        (long selects, long sets) = await ReadAsync();
        for (int i = 0; i < Returns; i++) await ChangeAsync(change);
        (long selectsAfter, long setsAfter) = await ReadAsync();
        int own = change.StartsWith("SELECT", StringComparison.Ordinal) ? Returns : 0;
        return ((int)(selectsAfter - selects) - own, (int)(setsAfter - sets));
    }

    private async Task<(long Selects, long Sets)> ReadAsync()
    {
        string?[] values = [
            await MySqlPoolTests.StatusAsync(_root, "Com_select"),
            await MySqlPoolTests.StatusAsync(_root, "Com_set_option"),
        ];
        return (long.Parse(values[0]!), long.Parse(values[1]!));
    }
}
