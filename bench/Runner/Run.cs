using UPool.Bench.Runner.Growth;
using UPool.Bench.Runner.Http;
using UPool.Bench.Runner.Load;
using UPool.Bench.Runner.Overload;
using UPool.Bench.Runner.Pool;
using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;
using UPool.Testing;

namespace UPool.Bench.Runner;

/// <summary>Measures parts over one database, and stores the result of each as soon as it is complete.</summary>
internal sealed class Run(Settings settings, ResultFolder results, Action<string> say)
{
    private const int MostTimesCapacity = 20;

    private static readonly int[] TimesCapacity = [1, 2, 5, MostTimesCapacity];

    public async Task MeasureAsync(Parts parts)
    {
        if (parts == Parts.Report) return;

        await using Database database = await Database.StartAsync();
        var load = new Wrk(settings.Seconds);
        TimeSpan length = TimeSpan.FromSeconds(settings.Seconds);
        bool isForBars = parts == Parts.Bars;
        int rounds = settings.Rounds;
        if (isForBars || parts.HasFlag(Parts.Pool))
            await KeepAsync(database, rounds, () => new PoolPart(database, results, say).RunAsync(rounds));

        if (isForBars || parts.HasFlag(Parts.Http))
        {
            IReadOnlyList<HttpCell> plan = isForBars ? HttpPlan.Bars : HttpPlan.Full;
            await KeepAsync(database, rounds, () => new HttpPart(database, load, say).RunAsync(
                [.. plan.Where(cell => settings.Sides.Contains(cell.Side))], rounds));
        }

        if (isForBars || parts.HasFlag(Parts.Overload))
        {
            await KeepAsync(database, rounds, () => new OverloadPart(database, say).RunAsync(
                isForBars ? [MostTimesCapacity] : TimesCapacity, rounds, length));
        }

        if (parts.HasFlag(Parts.Growth))
        {
            // Curves rather than ratios near a limit: half of the rounds are enough.
            int fewer = (rounds + 1) / 2;
            await KeepAsync(database, fewer, () => new GrowthPart(database, load, say).RunAsync(
                GrowthPoints.Full, fewer, length));
        }
    }

    private async Task KeepAsync(Database database, int rounds, Func<Task<PartResult>> measureAsync)
    {
        RunFacts facts = Machine.Facts(BuiltPrograms.Root, database.Version, rounds, settings.Seconds);
        PartResult result = await measureAsync();
        await results.WriteAsync(result with { Run = facts });
    }
}
