using UPool.Bench.Runner.Load;
using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;
using UPool.Testing;

namespace UPool.Bench.Runner.Http;

/// <summary>Compares sides over HTTP: all sides run during all rounds, and each round measures them in turn, so that a
/// slow minute of the machine affects all sides.</summary>
internal sealed class HttpPart(Database database, ILoad load, Action<string> say)
{
    /// <summary>The part's name.</summary>
    public const string Name = "http";

    /// <summary>The names of the rows.</summary>
    public const string List = "GET /user/list";
    public const string ById = "GET /user/{id}";
    public const string ListDelayed = $"{List}, 1 ms to the database";
    public const string ByIdDelayed = $"{ById}, 1 ms to the database";

    /// <summary>The axis.</summary>
    public const string Clients = "clients";

    /// <summary>The replies per second that do not count as served.</summary>
    public const string Other = "others/s";

    // Half of the millisecond in each direction.
    private const int DelayMicroseconds = 500;

    private const int ListRows = 100;

    // All have five digits, so that all bodies have the same length.
    private const int FirstId = 10_001;
    private const int LastId = 20_000;

    // Runs of the load before the first round, until the compiler has reached its last tier and every connection is
    // open: a uPool process spent a seventh of its sixth second under load on compiling, and none of its eleventh. A
    // side that has already served another request needs fewer.
    private const int WarmUps = 10;
    private const int LaterWarmUps = 4;

    private static readonly TimeSpan ProxyTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Measures every cell once per round.</summary>
    public async Task<PartResult> RunAsync(IReadOnlyList<HttpCell> plan, int rounds)
    {
        var rows = new List<Row>();
        foreach (var stage in plan.GroupBy(static cell => cell.IsDelayed))
        {
            await using ProcessHost? proxy = stage.Key ? await StartProxyAsync() : null;
            string to = proxy is null ? database.ConnectionString : database.ConnectionStringThrough(PortOf(proxy));
            var sides = new List<RunningSide>();
            try
            {
                foreach (Side side in stage.Select(static cell => cell.Side).Distinct())
                {
                    say($"starting {side.Name}");
                    sides.Add(await RunningSide.StartAsync(side, to));
                }

                foreach (var table in stage.GroupBy(static cell => cell.IsById))
                    rows.AddRange(await MeasureAsync([.. table], sides, rounds, table.Key ? LaterWarmUps : WarmUps));
            }
            finally
            {
                foreach (RunningSide side in sides) await side.DisposeAsync();
            }
        }

        return new PartResult(Name, rows) { Unit = "replies/s", Reference = Side.Best };
    }

    private static int PortOf(ProcessHost proxy) =>
        int.Parse(proxy.Lines[^1].Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture);

    private async Task<ProcessHost> StartProxyAsync()
    {
        ProcessHost proxy = await ProcessHost.StartDotnetAsync(
            "delay", BuiltPrograms.Dll("bench/DelayProxy", "UPool.Bench.DelayProxy"),
            [$"{database.Port}", $"{DelayMicroseconds}"]);
        await proxy.WaitForLineAsync("listening on port ", ProxyTimeout);
        return proxy;
    }

    // The cells of one table at one distance.
    private async Task<IEnumerable<Row>> MeasureAsync(
        HttpCell[] cells, IReadOnlyList<RunningSide> running, int rounds, int warmUps)
    {
        HttpCell any = cells[0];
        string name = (any.IsById, any.IsDelayed) switch
        {
            (false, false) => List,
            (false, true) => ListDelayed,
            (true, false) => ById,
            (true, true) => ByIdDelayed,
        };
        (int first, int last) = any.IsById ? (FirstId, LastId) : (1, ListRows);
        await database.FillAsync(first, last);

        var sides = running.Where(one => cells.Any(cell => cell.Side == one.Side)).ToDictionary(one => one.Side);
        var questions = new Dictionary<Side, Question>();
        var probe = new Probe(first, last);
        foreach ((Side side, RunningSide one) in sides)
            questions[side] = await probe.AskAsync(one, any.IsById);

        say($"{name}: warming {sides.Count} sides");
        foreach ((Side side, RunningSide one) in sides)
        {
            for (int warmUp = 0; warmUp < warmUps; warmUp++)
                await load.RunAsync(one.Url, questions[side], cells.Max(static cell => cell.Clients), warmUp);
        }

        var figures = cells.ToDictionary(static cell => cell, static _ => new List<LoadFigures>());
        for (int round = 0; round < rounds; round++)
        {
            say($"{name}: round {round + 1} of {rounds}");
            // Each round begins with another side, so that no side always follows the slowest.
            foreach (HttpCell cell in cells.Skip(round % cells.Length).Concat(cells.Take(round % cells.Length)))
                figures[cell].Add(await load.RunAsync(sides[cell.Side].Url, questions[cell.Side], cell.Clients, round));
        }

        return figures.Select(one => ToRow(name, one.Key, one.Value));
    }

    private static Row ToRow(string name, HttpCell cell, List<LoadFigures> rounds) =>
        new(name, cell.Side.Name, new Dictionary<string, double> { [Clients] = cell.Clients },
            [.. rounds.Select(static one => one.Served / one.Seconds)])
        {
            Also = new Dictionary<string, IReadOnlyList<double>>
            {
                [Other] = [.. rounds.Select(static one => one.Other / one.Seconds)],
                ["p50 ms"] = [.. rounds.Select(static one => one.P50)],
                ["p99 ms"] = [.. rounds.Select(static one => one.P99)],
            },
        };
}
