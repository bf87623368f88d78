using System.Globalization;

using UPool.Testing;

namespace UPool.Bench.Runner.Load;

/// <summary>Debian's wrk, on one thread; the other processor is for the side and the database. Its script,
/// <c>wrk.lua</c>, counts served replies, at the same cost per reply for every side.</summary>
/// <param name="seconds">The duration of each measurement.</param>
internal sealed class Wrk(int seconds) : ILoad
{
    // For the replies still under way at the end.
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(30);

    public async Task<LoadFigures> RunAsync(Uri side, Question question, int clients, int round)
    {
        var environment = new Dictionary<string, string?>
        {
            ["UPOOL_BENCH_LENGTH"] = Text(question.BodyBytes),
            ["UPOOL_BENCH_FIRST_ID"] = question.Ids is { } ids ? Text(ids.First) : null,
            ["UPOOL_BENCH_LAST_ID"] = question.Ids is { } range ? Text(range.Last) : null,
            ["UPOOL_BENCH_SEED"] = Text(round),
        };
        await using ProcessHost wrk = await ProcessHost.StartAsync(
            "wrk", "wrk",
            [
                "--threads", "1", "--connections", Text(clients), "--duration", $"{seconds}s", "--latency",
                "--script", Path.Combine(AppContext.BaseDirectory, "Load", "wrk.lua"),
                new Uri(side, question.Path).ToString(),
            ],
            environment);
        if (await wrk.WaitForExitAsync(TimeSpan.FromSeconds(seconds) + EndTimeout) != 0)
            throw new InvalidOperationException($"wrk ended with {wrk.ExitCode}. Its output:\n{wrk.Output}");

        string line = await wrk.WaitForLineAsync("figures ", EndTimeout);
        double[] figures =
            [.. line.Split(' ').Skip(1).Select(figure => double.Parse(figure, CultureInfo.InvariantCulture))];
        return new LoadFigures(figures[0], (long)figures[1], (long)figures[2], figures[3], figures[4]);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
