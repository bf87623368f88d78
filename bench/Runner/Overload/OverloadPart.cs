using MySqlConnector;

using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Runner.Overload;

/// <summary>More work than the connections can do: a statement that takes 10 ms, at one to twenty times their
/// capacity.</summary>
internal sealed class OverloadPart(Database database, Action<string> say)
{
    /// <summary>The part's name.</summary>
    public const string Name = "overload";

    /// <summary>The name of its rows.</summary>
    public const string Served = "Served under overload";

    /// <summary>The axis.</summary>
    public const string Times = "times capacity";

    /// <summary>Other figures of a row.</summary>
    public const string ServedP99 = "p99 of the served, ms";
    public const string RefusedP99 = "p99 to refuse, ms";

    /// <summary>The statements for which the connections have time in a second.</summary>
    public const double Capacity = Side.Connections / 0.01;

    /// <summary>The server's own throughput: the connections without a pool, each executing without a pause.</summary>
    public const string Bare = "connections alone";

    /// <summary>The total time of the original's retries; also uPool's default.</summary>
    public static readonly TimeSpan RentTimeout = TimeSpan.FromMilliseconds(400);

    /// <summary>The duration of one statement.</summary>
    public static readonly TimeSpan ServiceTime = TimeSpan.FromMilliseconds(10);

    private const string Work = "SELECT SLEEP(0.01)";

    // Until every connection is open and the pool knows the service time.
    private const int WarmUps = 2;

    /// <summary>Measures every pool at every multiple once per round.</summary>
    public async Task<PartResult> RunAsync(IReadOnlyList<int> multiples, int rounds, TimeSpan length)
    {
        string connectionString = database.ConnectionString;
        var options = new PoolOptions { MaxConnections = Side.Connections, RentTimeout = RentTimeout };
        await using var own = new UPoolPool(connectionString, options);
        await using var drivers = new DriversPool(connectionString, Side.Connections, RentTimeout);
        await using RetryLoopPool retrying = await RetryLoopPool.OpenAsync(connectionString, Side.Connections);
        IPool[] pools = [own, drivers, retrying];
        foreach (IPool pool in pools) await RunAsync(pool, 1, WarmUps * length);

        var figures = new Dictionary<(int Multiple, string Pool), List<OpenLoopFigures>>();
        var bare = new List<double>();
        for (int round = 0; round < rounds; round++)
        {
            say($"{Name}: round {round + 1} of {rounds}");
            bare.Add(await RunBareAsync(connectionString, length));
            foreach (int multiple in multiples)
            {
                foreach (IPool pool in pools)
                {
                    if (!figures.TryGetValue((multiple, pool.Name), out List<OpenLoopFigures>? rows))
                        figures[(multiple, pool.Name)] = rows = [];
                    rows.Add(await RunAsync(pool, multiple, length));
                }
            }
        }

        return new PartResult(Name,
        [
            .. figures.Select(static one => ToRow(one.Key.Multiple, one.Key.Pool, one.Value)),
            new Row(Served, Bare, new Dictionary<string, double> { [Times] = 1 }, bare),
        ])
        {
            Unit = "served/s",
        };
    }

    private static Task<OpenLoopFigures> RunAsync(IPool pool, int multiple, TimeSpan length) =>
        OpenLoop.RunAsync(() => pool.TryExecuteAsync(Work), multiple * Capacity, length);

    private static async Task<double> RunBareAsync(string connectionString, TimeSpan length)
    {
        await using var source = new MySqlDataSource(
            new MySqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        int done = 0;
        var connections = new List<MySqlConnection>();
        for (int number = 0; number < Side.Connections; number++) connections.Add(await source.OpenConnectionAsync());
        using var stop = new CancellationTokenSource(length);
        await Task.WhenAll(connections.Select(async connection =>
        {
            await using var command = new MySqlCommand(Work, connection);
            while (true)
            {
                await command.ExecuteScalarAsync();
                if (stop.IsCancellationRequested) break;

                Interlocked.Increment(ref done);
            }

            await connection.DisposeAsync();
        }));
        return done / length.TotalSeconds;
    }

    private static Row ToRow(int multiple, string pool, List<OpenLoopFigures> rounds) =>
        new(Served, pool, new Dictionary<string, double> { [Times] = multiple },
            [.. rounds.Select(static one => one.Goodput)])
        {
            Also = new Dictionary<string, IReadOnlyList<double>>
            {
                ["p50 of the served, ms"] = [.. rounds.Select(static one => one.ServedP50)],
                [ServedP99] = [.. rounds.Select(static one => one.ServedP99)],
                ["refused/s"] = [.. rounds.Select(static one => one.Refused)],
                ["p50 to refuse, ms"] = [.. rounds.Select(static one => one.RefusedP50)],
                [RefusedP99] = [.. rounds.Select(static one => one.RefusedP99)],
            },
        };
}
