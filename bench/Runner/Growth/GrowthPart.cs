using UPool.Bench.Runner.Http;
using UPool.Bench.Runner.Load;
using UPool.Bench.Runner.Overload;
using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Runner.Growth;

/// <summary>The cost of one unit as one number grows: rows of a reply, connections of a pool, pending rents, silos. A
/// ratio of processor times holds even if the machine was shared.</summary>
internal sealed class GrowthPart(Database database, ILoad load, Action<string> say)
{
    /// <summary>The part's name.</summary>
    public const string Name = "growth";

    private const string OfRows = "A row in a reply of /user/list";
    private const string OfConnections = "A rent from a pool of many connections";
    private const string OfPending = "A rent among many that wait";
    private const string OfSilos = "A reply of /user/list from many silos";

    private const string Processor = "µs of processor time";

    private const int ListRows = 100;

    // As in the part "http": with three, compiling was counted as part of a reply.
    private const int WarmUps = 10;

    // Enough clients to keep both processors busy, without a queue that would hide the cost of the rows.
    private const int RowClients = 8;
    private const int SiloClients = 64;

    // No rent is refused here: the cost of waiting is measured.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Measures every curve.</summary>
    public async Task<PartResult> RunAsync(GrowthPoints points, int rounds, TimeSpan length) => new(Name,
    [
        .. await RowsAsync(points.Rows, rounds),
        .. await PoolsAsync(
            OfConnections, "connections", points.Connections, rounds, length,
            static size => (Connections: size, Callers: 2 * size)),
        .. await PoolsAsync(
            OfPending, "pending", points.Pending, rounds, length,
            static pending => (Side.Connections, Callers: Side.Connections + pending)),
        .. await SilosAsync(points.Silos, rounds),
    ]);

    private async Task<IEnumerable<Row>> RowsAsync(IReadOnlyList<int> points, int rounds)
    {
        Side[] measured = [.. Side.All.Where(static side => side.Name is Side.Best or Side.CoHosted)];
        var figures = new Figures(OfRows, "rows", "µs a row");
        var sides = new List<RunningSide>();
        try
        {
            foreach (Side side in measured) sides.Add(await RunningSide.StartAsync(side, database.ConnectionString));
            foreach (int rows in points)
            {
                say($"{OfRows}: {rows}");
                await database.FillAsync(1, rows);
                var probe = new Probe(1, rows);
                var questions = new Dictionary<RunningSide, Question>();
                foreach (RunningSide side in sides)
                {
                    questions[side] = await probe.AskAsync(side, isById: false);
                    for (int warmUp = 0; warmUp < WarmUps; warmUp++)
                        await load.RunAsync(side.Url, questions[side], RowClients, warmUp);
                }

                for (int round = 0; round < rounds; round++)
                {
                    foreach (RunningSide side in sides)
                    {
                        LoadFigures seen = await load.RunAsync(side.Url, questions[side], RowClients, round);
                        figures.Add(side.Side.Name, rows, seen.Seconds * 1e6 / seen.Served / rows);
                    }
                }
            }
        }
        finally
        {
            foreach (RunningSide side in sides) await side.DisposeAsync();
        }

        return figures.Rows;
    }

    private async Task<IEnumerable<Row>> PoolsAsync(
        string name, string axis, IReadOnlyList<int> points, int rounds, TimeSpan length,
        Func<int, (int Connections, int Callers)> settingsOf)
    {
        var figures = new Figures(name, axis, $"{Processor} a rent");
        foreach (int point in points)
        {
            say($"{name}: {point}");
            (int connections, int callers) = settingsOf(point);
            var options = new PoolOptions
            {
                MaxConnections = connections,
                MaxPending = callers,
                RentTimeout = Patience,
            };
            await using var own = new UPoolPool(database.ConnectionString, options);
            await using var drivers = new DriversPool(database.ConnectionString, connections, Patience);
            IPool[] pools = [own, drivers];
            foreach (IPool pool in pools) await ClosedLoop.RunAsync(pool, callers, length);
            for (int round = 0; round < rounds; round++)
            {
                foreach (IPool pool in pools)
                    figures.Add(pool.Name, point, await ClosedLoop.RunAsync(pool, callers, length));
            }
        }

        return figures.Rows;
    }

    private async Task<IEnumerable<Row>> SilosAsync(IReadOnlyList<int> points, int rounds)
    {
        Side side = Side.All.First(static side => side.Name == Side.Separate);
        var figures = new Figures(OfSilos, "silos", $"{Processor} a reply");
        await database.FillAsync(1, ListRows);
        foreach (int silos in points)
        {
            say($"{OfSilos}: {silos}");
            await using RunningSide running = await RunningSide.StartAsync(side, database.ConnectionString, silos);
            Question question = await new Probe(1, ListRows).AskAsync(running, isById: false);
            for (int warmUp = 0; warmUp < WarmUps * silos; warmUp++)
                await load.RunAsync(running.Url, question, SiloClients, warmUp);
            for (int round = 0; round < rounds; round++)
            {
                TimeSpan before = running.ProcessorTime;
                LoadFigures seen = await load.RunAsync(running.Url, question, SiloClients, round);
                figures.Add(
                    side.Name, silos, (running.ProcessorTime - before).TotalMicroseconds / Math.Max(1, seen.Served));
            }
        }

        return figures.Rows;
    }

    /// <summary>Collects one curve per side.</summary>
    private sealed class Figures(string name, string axis, string unit)
    {
        private readonly Dictionary<(string Side, int Point), List<double>> _values = [];

        public IEnumerable<Row> Rows => _values.Select(one =>
            new Row(name, one.Key.Side, new Dictionary<string, double> { [axis] = one.Key.Point }, one.Value)
            {
                Unit = unit,
            });

        public void Add(string side, int point, double value)
        {
            if (!_values.TryGetValue((side, point), out List<double>? values))
                _values[(side, point)] = values = [];
            values.Add(value);
        }
    }
}

/// <summary>The points of the curves.</summary>
/// <param name="Rows">Rows of a reply.</param>
/// <param name="Connections">Connections of a pool.</param>
/// <param name="Pending">Pending rents at a time.</param>
/// <param name="Silos">Silos behind one front.</param>
internal sealed record GrowthPoints(
    IReadOnlyList<int> Rows, IReadOnlyList<int> Connections, IReadOnlyList<int> Pending, IReadOnlyList<int> Silos)
{
    /// <summary>From the least to the most that uPool promises.</summary>
    public static GrowthPoints Full { get; } =
        new([1, 10, 100, 1_000, 10_000], [1, 4, 16, 64], [10, 100, 1_000, 10_000], [1, 2, 3]);
}
