using System.Data.Common;

using MySqlConnector;

using UPool.MySql;
using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>A wrong password on servers that block an account after a few failures: the process's own attempts must not
/// block it.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class WrongPasswordTests : IAsyncLifetime
{
    private const string Right = "r1ght";
    private const string Wrong = "wr0ng";

    private readonly ShiftedClock _clock = new();
    private DatabaseServer _server = null!;
    private MySqlConnection _root = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await DatabaseServer.StartNewAsync();
        _root = new MySqlConnection(_server.RootConnectionString);
        await _root.OpenAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _root.DisposeAsync();
        await _server.DisposeAsync();
    }

    // Pool, storage and kills of one process, and many rents. The third wrong password blocks the account, so at most
    // two attempts are allowed.
    [Fact]
    public async Task Rent_WrongPassword_TriesOnceAndHealsWhenItIsCorrectedOnTheServer()
    {
        await CreateAccountAsync(mostErrors: 3);
        await using var control = new ControlConnections(With(Wrong), clock: _clock);
        await using PooledDataSource pool = Create(control, Wrong);
        Task<PoolHealth> storage = StorageAsync(control);
        for (int round = 0; round < 20; round++)
        {
            RentResult[] rents = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => pool.RentAsync().AsTask()));
            Assert.All(rents, static rent => Assert.Equal(RefusalReason.Unavailable, rent.Refusal));
            Assert.Contains("wrong user or password", rents[0].Message, StringComparison.Ordinal);

            // Let the pauses between the pool's attempts pass.
            await Task.Delay(100);
        }

        Assert.Contains("wrong user or password", (await storage).Problem, StringComparison.Ordinal);
        Assert.DoesNotContain(Wrong, pool.Health.Problem, StringComparison.Ordinal);

        // The right password is accepted: the account is not blocked, and its failure count restarts.
        await using (var right = new MySqlConnection(With(Right))) await right.OpenAsync();

        // One second attempt when it is due, and no more.
        _clock.Shift(SignInGate.FirstRetryInterval);
        await UntilAsync(pool, _ => pool.Health.Problem is not null, 20, "still refused");
        await Task.Delay(1500);
        await using (var right = new MySqlConnection(With(Right))) await right.OpenAsync();

        await ExecuteAsync(_root, $"ALTER USER fresh IDENTIFIED BY '{Wrong}'");
        _clock.Shift(SignInGate.RetryInterval);
        await UntilAsync(pool, _ => CanRent(pool), 20, "healed");
        await using DbConnection connection = await pool.OpenConnectionAsync();
        Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));
    }

    [Fact]
    public async Task Change_OfAWrongPassword_IsTriedAtOnce()
    {
        await CreateAccountAsync(mostErrors: 3);
        await using var control = new ControlConnections(With(Wrong), clock: _clock);
        await using PooledDataSource pool = Create(control, Wrong);
        Assert.Equal(RefusalReason.Unavailable, (await pool.RentAsync()).Refusal);
        Assert.True(await control.ChangeConnectionStringAsync(With(Right)), control.Health.Problem);
        Assert.True(await pool.ChangeConnectionStringAsync(With(Right)), pool.Health.Problem);
        await using DbConnection connection = await pool.OpenConnectionAsync();
    }

    // Existing sessions go on working; new ones are refused with the reason, and succeed once the account is unblocked.
    [Fact]
    public async Task Open_AccountIsBlocked_SaysWhyAndHealsWhenItIsUnlocked()
    {
        await CreateAccountAsync(mostErrors: 2);
        await ExecuteAsync(_root, "CREATE TABLE upool.t (id INT PRIMARY KEY)");
        await using var control = new ControlConnections(With(Right), clock: _clock);
        await using PooledDataSource pool = Create(control, Right);
        await using DbConnection connection = await pool.OpenConnectionAsync();
        await using DbTransaction transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, "INSERT INTO t VALUES (1)");
        for (int i = 0; i < 3; i++)
        {
            await using var guess = new MySqlConnection(With(Wrong));
            await Assert.ThrowsAsync<MySqlException>(() => guess.OpenAsync());
        }

        await ExecuteAsync(connection, "INSERT INTO t VALUES (2)");
        await transaction.CommitAsync();
        Assert.Equal(2, await ScalarAsync(_root, "SELECT COUNT(*) FROM upool.t"));
        await using PooledDataSource other = Create(control, Right);
        RentResult refused = await other.RentAsync();
        Assert.Equal(RefusalReason.Unavailable, refused.Refusal);
        Assert.Contains("has blocked the account after wrong passwords", refused.Message, StringComparison.Ordinal);

        bool isMySql = ServerFamily.Tested.Name == ServerFamily.MySql;
        await ExecuteAsync(_root, isMySql ? "ALTER USER fresh ACCOUNT UNLOCK" : "FLUSH PRIVILEGES");
        await UntilAsync(other, _ => CanRent(other), 20, "unlocked");
    }

    private async Task CreateAccountAsync(int mostErrors)
    {
        bool isMySql = ServerFamily.Tested.Name == ServerFamily.MySql;
        if (!isMySql) await ExecuteAsync(_root, $"SET GLOBAL max_password_errors = {mostErrors}");
        string limit = isMySql ? $" FAILED_LOGIN_ATTEMPTS {mostErrors} PASSWORD_LOCK_TIME 1" : "";
        await ExecuteAsync(_root, $"CREATE USER fresh IDENTIFIED BY '{Right}'{limit}");
        await ExecuteAsync(_root, "GRANT ALL ON upool.* TO fresh");
    }

    private PooledDataSource Create(ControlConnections control, string password) => MySqlPool.Create(
        With(password), new PoolOptions { RentTimeout = TimeSpan.FromSeconds(10), MaxConnections = 8 }, control,
        clock: _clock);

    private static bool CanRent(PooledDataSource pool)
    {
        bool isRented = pool.TryRent(out PooledConnection? connection);
        connection?.Dispose();
        return isRented;
    }

    private static async Task<PoolHealth> StorageAsync(ControlConnections control)
    {
        try
        {
            await using DbConnection connection = await control.Storage.OpenConnectionAsync();
        }
        catch (RentRefusedException)
        {
            // Expected.
        }

        return control.Health;
    }

    private string With(string password) => new MySqlConnectionStringBuilder(_server.ConnectionString())
    {
        UserID = "fresh",
        Password = password,
        Pooling = false,
    }.ConnectionString;

    /// <summary>The system's clock, shifted forward.</summary>
    private sealed class ShiftedClock : TimeProvider
    {
        private long _shift;

        public void Shift(TimeSpan time) =>
            Interlocked.Add(ref _shift, (long)(time.TotalSeconds * System.TimestampFrequency));

        public override long GetTimestamp() => System.GetTimestamp() + Interlocked.Read(ref _shift);
    }
}
