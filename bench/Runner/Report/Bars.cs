using UPool.Bench.Runner.Http;
using UPool.Bench.Runner.Overload;
using UPool.Bench.Runner.Pool;
using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;
using UPool.Bench.Runner.Statistics;

namespace UPool.Bench.Runner.Report;

/// <summary>All bars with their figures. Ratios are of medians of one run.</summary>
internal sealed class Bars(IReadOnlyDictionary<string, PartResult> parts)
{
    // A small object: a header and a dozen fields at most.
    private const int SmallObjectBytes = 128;

    private const int NearlyAll = 80;

    private static readonly int[] ManyClients = [64, 256];
    private static readonly int[] DelayedClients = [8, 64];

    /// <summary>All bars, in the order of the issue that set them.</summary>
    public IReadOnlyList<Bar> All() => [.. OfPool(), .. OfHttp(), .. OfDelayed(), .. OfOverload()];

    private IEnumerable<Bar> OfPool()
    {
        yield return AtMost(
            "rent and return, one worker, against two locks and two clock reads", 1.35,
            PoolRow(PoolPart.Fake, PoolPart.Own, 1), PoolRow(PoolPart.Fake, PoolPart.LocksAndClocks, 1), maxBytes: 0);

        Bar together = AtMost(
            "the same, 32 workers on 16 connections, against a lock and a queue", 1.3,
            PoolRow(PoolPart.Fake, PoolPart.Own, 32), PoolRow(PoolPart.Fake, PoolPart.LockAndQueue, 32), maxBytes: 0);
        Row? waited = PoolRow(PoolPart.Waited, PoolPart.Own, 32);
        yield return waited is null ? together : together with
        {
            Limit = $"{together.Limit}, {NearlyAll} % wait",
            Figure = $"{together.Figure}, {Figures.Text(waited.Values.Min())} % wait",
            IsMet = together.IsMet & (waited.Values.Min() >= NearlyAll),
        };

        foreach (int workers in (int[])[1, 32])
        {
            string what = $"the same through ADO.NET, {workers} {(workers == 1 ? "worker" : "workers")}";
            string limit = $"at most 2 small objects (of {SmallObjectBytes} B)";
            Row? row = PoolRow(PoolPart.Fake, PoolPart.ThroughAdoNet, workers);
            yield return row?.Bytes is { } bytes
                ? new Bar(what, limit, $"{Figures.Text(bytes)} B", bytes <= 2 * SmallObjectBytes)
                : Bar.Open(what, limit);
        }

        foreach (int workers in (int[])[1, 32])
        {
            yield return AtMost(
                $"a no-reset rent on MariaDB, {workers} at a time, against MySqlConnector's pool with reset off", 1,
                PoolRow(PoolPart.MariaDb, PoolPart.NoResetRent, workers),
                PoolRow(PoolPart.MariaDb, PoolPart.DriverWithoutReset, workers));
            yield return AtMost(
                $"an ordinary rent on MariaDB, {workers} at a time, against MySqlConnector's pool at its defaults", 1,
                PoolRow(PoolPart.MariaDb, PoolPart.OrdinaryRent, workers),
                PoolRow(PoolPart.MariaDb, PoolPart.DriverDefaults, workers));
        }
    }

    private IEnumerable<Bar> OfHttp()
    {
        foreach (int clients in ManyClients)
        {
            yield return AtLeast(HttpPart.List, clients, Side.CoHosted, Side.Best, 1, lowerBound: 0.97);
            yield return AtLeast(HttpPart.List, clients, Side.CoHostedShared, Side.Best, 4);
            yield return AtLeast(HttpPart.List, clients, Side.SeparateShared, Side.Best, 2.5);
            yield return AtLeast(HttpPart.ById, clients, Side.CoHostedShared, Side.Best, 2);
            yield return AtLeast(HttpPart.List, clients, Side.CoHosted, Side.Original, 4);
            yield return AtLeast(HttpPart.List, clients, Side.CoHostedShared, Side.Original, 20);
        }

        foreach (string name in (string[])[HttpPart.List, HttpPart.ById])
        {
            yield return AtLeast(name, 8, Side.CoHosted, Side.Best, 1);
            yield return AtLeast(name, 8, Side.CoHostedShared, Side.Best, 1);
        }
    }

    private IEnumerable<Bar> OfDelayed() =>
        from name in (string[])[HttpPart.ListDelayed, HttpPart.ByIdDelayed]
        from clients in DelayedClients
        from pair in ((string, string)[])
            [(Side.CoHostedShared, Side.CoHosted), (Side.SeparateShared, Side.Separate)]
        select AtLeast(name, clients, pair.Item1, pair.Item2, 1);

    private IEnumerable<Bar> OfOverload()
    {
        PartResult? part = parts.GetValueOrDefault(OverloadPart.Name);
        Row? row = part?.Find(OverloadPart.Served, UPoolPool.SideName, (OverloadPart.Times, 20));

        // The capacity of this run: the server's sleep takes slightly longer than requested, equally for all pools.
        Row? alone = part?.Find(OverloadPart.Served, OverloadPart.Bare, (OverloadPart.Times, 1));
        double latest = (OverloadPart.RentTimeout + (2 * OverloadPart.ServiceTime)).TotalMilliseconds;

        yield return Of(
            "work done at 20 times the capacity", "≥ 95 % of what the connections do alone",
            alone is null ? null : row,
            row =>
            {
                double share = Sample.Median(row.Values) / Sample.Median(alone!.Values) * 100;
                return ($"{Figures.Text(share)} %", share >= 95);
            });
        yield return Of(
            "p99 of the served at 20 times", $"≤ {latest} ms", row,
            row => Within(row, latest, OverloadPart.ServedP99));
        yield return Of(
            "p99 to refuse at 20 times", "≤ 50 ms", row, static row => Within(row, 50, OverloadPart.RefusedP99));
    }

    private static (string, bool) Within(Row row, double limit, string figure)
    {
        double median = Sample.Median(row.Also![figure]);
        return ($"{Figures.Text(median)} ms", median <= limit);
    }

    private static Bar Of(string what, string limit, Row? row, Func<Row, (string Figure, bool IsMet)> judge)
    {
        if (row is null) return Bar.Open(what, limit);

        (string figure, bool isMet) = judge(row);
        return new Bar(what, limit, figure, isMet);
    }

    private Row? PoolRow(string name, string side, int workers) =>
        parts.GetValueOrDefault(PoolPart.Name)?.Find(name, side, (PoolPart.Workers, workers));

    private static Bar AtMost(string what, double limit, Row? side, Row? against, double? maxBytes = null)
    {
        string promise = $"≤ {Figures.Text(limit)}";
        if (maxBytes is { } most) promise += $", {Figures.Text(most)} B";
        if (side is null || against is null) return Bar.Open(what, promise);

        Ratio ratio = Ratio.Of(side.Values, against.Values);
        string figure = Figures.Text(ratio);
        if (side.Bytes is { } bytes) figure += $", {Figures.Text(bytes)} B";
        return new Bar(what, promise, figure, ratio.Value <= limit && (maxBytes is null || side.Bytes <= maxBytes));
    }

    private Bar AtLeast(
        string name, int clients, string side, string against, double limit, double? lowerBound = null)
    {
        string what = $"`{name}`, {clients} clients: {side} against {against}";
        string promise = $"≥ {Figures.Text(limit)}";
        if (lowerBound is { } bound) promise += $", lower bound ≥ {Figures.Text(bound)}";
        PartResult? part = parts.GetValueOrDefault(HttpPart.Name);
        if (part?.Find(name, side, (HttpPart.Clients, clients)) is not { } own
            || part.Find(name, against, (HttpPart.Clients, clients)) is not { } other)
            return Bar.Open(what, promise);

        Ratio ratio = Ratio.Of(own.Values, other.Values);
        return new Bar(
            what, promise, Figures.Text(ratio),
            ratio.Value >= limit && (lowerBound is null || ratio.Lower >= lowerBound));
    }
}
