using System.Globalization;

using MySqlConnector;

using UPool.Testing;

namespace UPool.Processes.Tests;

/// <summary>
/// The server's own session counts: <c>Max_used_connections</c>, and a sample every 50 ms. The witness's session, the
/// only one outside the deployment, is always subtracted.
/// </summary>
internal sealed class ServerWitness(DatabaseServer server, int budget, int shared) : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    // Joined with the register: the pools' sessions alone must fit into the pools' share, however much room others
    // leave. Includes all accounts but the observer's: the deployment's, and sessions that have not logged in yet.
    private static readonly string Sample = $"""
        SELECT COUNT(*), COUNT(CASE WHEN COMMAND = 'Query' AND USER = '{DatabaseServer.User}' THEN 1 END),
            COUNT(CASE WHEN IsControl = 0 THEN 1 END)
        FROM {Sql.ProcessList} AS p
        LEFT JOIN {DatabaseServer.DefaultDatabase}.upool_session AS r ON r.ConnectionId = p.ID AND r.Host = p.HOST
        WHERE USER NOT IN ('{DatabaseServer.RootUser}', 'system user', 'event_scheduler') AND COMMAND <> 'Daemon'
        """;

    private readonly Lock _gate = new();

    // One session serves the samples and the queries between them.
    private readonly SemaphoreSlim _turn = new(1);
    private readonly List<int> _busy = [];
    private readonly CancellationTokenSource _stop = new();
    private MySqlConnection? _connection;
    private Task _sampling = Task.CompletedTask;
    private int _most;
    private int _mostOfPools;

    /// <summary>The most sessions in one sample.</summary>
    public int Most
    {
        get
        {
            lock (_gate) return _most;
        }
    }

    public int Samples
    {
        get
        {
            lock (_gate) return _busy.Count;
        }
    }

    /// <summary>Starts counting; discards everything before.</summary>
    public async Task StartAsync()
    {
        await OpenAsync();
        await RunAsync(Sql.FlushStatus);
        _sampling = SampleAsync();
    }

    /// <summary>The median number of statements in progress, over the last samples.</summary>
    public int MedianBusy(int looks)
    {
        lock (_gate)
        {
            int[] newest = [.. _busy.TakeLast(looks).Order()];
            return newest.Length < looks ? 0 : newest[newest.Length / 2];
        }
    }

    /// <summary>Locks the first user's row in a transaction of the witness's own session.</summary>
    public Task HoldRowAsync() =>
        RunAsync($"BEGIN; SELECT id FROM {DatabaseServer.DefaultDatabase}.tb1 ORDER BY id LIMIT 1 FOR UPDATE");

    /// <summary>Releases the row.</summary>
    public Task ReleaseRowAsync() => RunAsync("COMMIT");

    /// <summary>Stops sampling before the server is frozen or restarted.</summary>
    public async Task PauseAsync()
    {
        await _stop.CancelAsync();
        await _sampling;
    }

    /// <summary>The server's own maximum since its start or the last FLUSH STATUS.</summary>
    public async Task<int> MaxUsedAsync()
    {
        if (_connection is null) await OpenAsync();
        return int.Parse(await StatusAsync("MAX_USED_CONNECTIONS"), CultureInfo.InvariantCulture) - 1;
    }

    /// <summary>Fails if any observation exceeds the budget.</summary>
    public async Task<string> AssertWithinAsync(string when)
    {
        int used = await MaxUsedAsync();
        string refused = await StatusAsync("CONNECTION_ERRORS_MAX_CONNECTIONS");
        string figures = $"{when}: at most {used} sessions by the server's count, {Most} in {Samples} looks "
            + $"(budget {budget}); of pools {_mostOfPools} (they share {shared})";
        Assert.True(
            used <= budget && Most <= budget && _mostOfPools <= shared && refused == "0",
            $"{figures}; refused by the server: {refused}");
        return figures;
    }

    public async ValueTask DisposeAsync()
    {
        await PauseAsync();
        if (_connection is not null) await _connection.DisposeAsync();
        _stop.Dispose();
        _turn.Dispose();
    }

    private async Task OpenAsync()
    {
        _connection = new MySqlConnection(server.RootConnectionString + ";Pooling=false");
        await _connection.OpenAsync();
    }

    private async Task SampleAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            (int sessions, int busy, int ofPools) = await AskAsync(
                Sample, static reader => (reader.GetInt32(0), reader.GetInt32(1), reader.GetInt32(2)));
            lock (_gate)
            {
                _most = Math.Max(_most, sessions);
                _mostOfPools = Math.Max(_mostOfPools, ofPools);
                _busy.Add(busy);
            }

            await Task.Delay(Interval, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private Task<string> StatusAsync(string name) => AskAsync(
        $"SELECT VARIABLE_VALUE FROM {Sql.GlobalStatus} WHERE VARIABLE_NAME = '{name}'",
        static reader => reader.GetString(0));

    private Task<bool> RunAsync(string text) => AskAsync(text, static _ => true);

    private async Task<T> AskAsync<T>(string text, Func<MySqlDataReader, T> read)
    {
        await _turn.WaitAsync();
        try
        {
            await using var command = new MySqlCommand(text, _connection);
            await using MySqlDataReader reader = await command.ExecuteReaderAsync();
            await reader.ReadAsync();
            return read(reader);
        }
        finally
        {
            _turn.Release();
        }
    }
}
