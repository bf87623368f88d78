using System.Collections.Concurrent;
using System.Globalization;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Credentials that change on the real server under load: no request fails, no session with the former
/// credentials remains, and there are never more sessions than permits.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class ChangedCredentialsTests : IAsyncLifetime
{
    private const int MaxConnections = 6;
    private const int Clients = 16;
    private const string NewPassword = "n3w-passw0rd";

    private readonly ConcurrentQueue<string> _failures = new();
    private readonly CancellationTokenSource _stop = new();
    private DatabaseServer _server = null!;
    private MySqlPoolFixture _fixture = null!;
    private PooledDataSource _pool = null!;
    private MySqlConnection _root = null!;
    private long _served;

    private string Changed => With(DatabaseServer.User, NewPassword);

    public async ValueTask InitializeAsync()
    {
        _server = await DatabaseServer.StartNewAsync();
        _fixture = new MySqlPoolFixture(_server.ConnectionString());
        _pool = _fixture.CreatePool(o =>
        {
            o.MaxConnections = MaxConnections;
            o.RentTimeout = TimeSpan.FromSeconds(2);
        });
        _root = await _fixture.ObserveAsync(_server.RootConnectionString);
        await ExecuteAsync(_root, "CREATE TABLE upool.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)");
        await ExecuteAsync(_root, Sql.FlushStatus);
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Dispose();
        await _root.DisposeAsync();
        await _fixture.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Change_PasswordOfTheAccount_NoRequestFailsAndNoFormerSessionIsLeft()
    {
        Task load = await LoadAsync();
        HashSet<long> former = await SessionsAsync();

        await ExecuteAsync(_root, $"ALTER USER '{DatabaseServer.User}'@'%' IDENTIFIED BY '{NewPassword}'");
        await ServedAsync(300);
        Assert.True(await _fixture.Control.ChangeConnectionStringAsync(Changed), _pool.Health.Problem);
        Assert.True(await _pool.ChangeConnectionStringAsync(Changed), _pool.Health.Problem);
        await ServedAsync(1000);

        await EndAsync(load);
        await UntilGoneAsync(former);
        await AssertBoundAsync();
    }

    [Fact]
    public async Task Change_PasswordThatDoesNotWorkYet_TheFormerGoesOnUntilItDoes()
    {
        Task load = await LoadAsync();
        HashSet<long> former = await SessionsAsync();

        Assert.False(await _fixture.Control.ChangeConnectionStringAsync(Changed));
        Assert.False(await _pool.ChangeConnectionStringAsync(Changed));
        Assert.Contains("The changed credentials do not work yet", _pool.Health.Problem, StringComparison.Ordinal);
        Assert.Contains("wrong user or password", _pool.Health.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain(NewPassword, _pool.Health.Problem + _fixture.Log, StringComparison.Ordinal);
        await ServedAsync(1000);

        // Every permit still works: the connection closed to make room for the try was reopened.
        await UntilAsync(_pool, s => s.Idle + s.Used == MaxConnections, 5, "full capacity");

        await ExecuteAsync(_root, $"ALTER USER '{DatabaseServer.User}'@'%' IDENTIFIED BY '{NewPassword}'");
        Assert.True(await _fixture.Control.ChangeConnectionStringAsync(Changed), _pool.Health.Problem);
        Assert.True(await _pool.ChangeConnectionStringAsync(Changed), _pool.Health.Problem);
        Assert.True(_pool.Health.IsHealthy, _pool.Health.Problem);
        await ServedAsync(1000);

        await EndAsync(load);
        await UntilGoneAsync(former);
        await AssertBoundAsync();
    }

    [Fact]
    public async Task Change_AnotherAccountAndTheFormerIsDropped_NoRequestFails()
    {
        Task load = await LoadAsync();
        HashSet<long> former = await SessionsAsync();

        await ExecuteAsync(_root, $"CREATE USER 'upool_next'@'%' IDENTIFIED BY '{NewPassword}'");
        await ExecuteAsync(_root, "GRANT ALL ON `upool%`.* TO 'upool_next'@'%'");
        string next = With("upool_next", NewPassword);
        Assert.True(await _fixture.Control.ChangeConnectionStringAsync(next), _pool.Health.Problem);
        Assert.True(await _pool.ChangeConnectionStringAsync(next), _pool.Health.Problem);
        await ExecuteAsync(_root, $"DROP USER '{DatabaseServer.User}'@'%'");
        await ServedAsync(1000);

        await EndAsync(load);
        await UntilGoneAsync(former);
        await AssertBoundAsync();
    }

    [Fact]
    public async Task Change_ToAnotherServerOrNonsense_IsRefusedAndChangesNothing()
    {
        await using (PooledConnection connection = (await _pool.RentAsync()).GetConnectionOrThrow())
            Assert.Equal(1, await ScalarAsync(connection, "SELECT 1"));
        var elsewhere = new MySqlConnectionStringBuilder(Changed) { Port = 1 };
        foreach (string bad in (string[])[elsewhere.ConnectionString, "Server=a;Pasword=s3cret"])
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(
                async () => await _pool.ChangeConnectionStringAsync(bad));
            Assert.DoesNotContain(NewPassword, error.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain("s3cret", error.ToString(), StringComparison.Ordinal);
            await Assert.ThrowsAsync<ArgumentException>(
                async () => await _fixture.Control.ChangeConnectionStringAsync(bad));
        }

        Assert.True(_pool.Health.IsHealthy);
        Assert.Equal(1, _pool.Snapshot().Opened);
    }

    private string With(string user, string password) => new MySqlConnectionStringBuilder(_server.ConnectionString())
    {
        UserID = user,
        Password = password,
    }.ConnectionString;

    /// <summary>Starts clients that read and write continuously, and waits until they fill the pool.</summary>
    private async Task<Task> LoadAsync()
    {
        Task load = Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
        {
            for (int i = 0; !_stop.IsCancellationRequested; i++)
            {
                try
                {
                    await using PooledConnection connection = (await _pool.RentAsync()).GetConnectionOrThrow();
                    if (i % 4 == 0) await ExecuteAsync(connection, "INSERT INTO t (v) VALUES (1)");
                    else Assert.Equal(client, await ScalarAsync(connection, $"SELECT {client} + SLEEP(0.001)"));
                    Interlocked.Increment(ref _served);
                }
                catch (Exception exception)
                {
                    _failures.Enqueue(exception.Message);
                    await Task.Delay(50);
                }
            }
        })));
        await ServedAsync(300);
        await UntilAsync(_pool, s => s.Idle + s.Used == MaxConnections, 5, "full capacity");
        return load;
    }

    private async Task ServedAsync(long more)
    {
        long target = Interlocked.Read(ref _served) + more;
        await UntilAsync(_pool, _ => Interlocked.Read(ref _served) >= target, 20, $"{more} more served");
    }

    private async Task EndAsync(Task load)
    {
        await _stop.CancelAsync();
        await load;
        TestContext.Current.TestOutputHelper?.WriteLine($"served {_served}, failed {_failures.Count}");
        Assert.Empty(_failures);
    }

    private async Task<HashSet<long>> SessionsAsync()
    {
        HashSet<long> ids = [];
        await using var command = new MySqlCommand(
            $"SELECT ID FROM {Sql.ProcessList} WHERE USER LIKE 'upool%' AND ID <> CONNECTION_ID()", _root);
        await using MySqlDataReader reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync()) ids.Add(reader.GetInt64(0));
        return ids;
    }

    private async Task UntilGoneAsync(HashSet<long> former)
    {
        long startedAt = TimeProvider.System.GetTimestamp();
        while (await SessionsAsync() is var now && now.Overlaps(former))
        {
            Assert.True(
                TimeProvider.System.GetElapsedTime(startedAt).TotalSeconds < 10,
                $"sessions of the former credentials are left: {string.Join(", ", now.Intersect(former))}");
            await Task.Delay(20);
        }
    }

    private async Task AssertBoundAsync()
    {
        string most = (await MySqlPoolTests.StatusAsync(_root, "Max_used_connections"))!;
        TestContext.Current.TestOutputHelper?.WriteLine($"at most {most} sessions, the observer's among them");
        Assert.InRange(long.Parse(most, CultureInfo.InvariantCulture) - 1, 1, MaxConnections + 2);
    }
}
