// Measures, writes results and draws plots. Started by ./bench.sh, whose usage text lists the parts.
using System.Diagnostics;
using System.Globalization;

using UPool.Bench.Runner;
using UPool.Bench.Runner.Report;
using UPool.Bench.Runner.Results;
using UPool.Testing;

if (args is not [string what] || !Enum.TryParse(what, ignoreCase: true, out Parts parts))
{
    await Console.Error.WriteLineAsync("usage: UPool.Bench.Runner bars|all|http|pool|overload|growth|report");
    return 2;
}

long startedAt = Stopwatch.GetTimestamp();
try
{
    var results = new ResultFolder(Path.Combine(BuiltPrograms.Root, ".upool", "bench", "results"));
    await new Run(Settings.FromEnvironment(), results, Say).MeasureAsync(parts);
    var document = new Document(Path.Combine(BuiltPrograms.Root, "docs", "performance.md"));
    IReadOnlyList<Bar> bars = await document.WriteAsync(results);
    Console.Write($"""

        {Tables.Of(bars)}
        All figures: docs/performance.md; each round: .upool/bench/results/

        """);
    return 0;
}
catch (ArgumentException exception)
{
    await Console.Error.WriteLineAsync(exception.Message);
    return 2;
}
catch (Exception exception) when (exception is InvalidOperationException or IOException or TimeoutException)
{
    // A side did not start or replied wrongly; the message holds its output.
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}

void Say(string text) => Console.Error.WriteLine(string.Create(
    CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(startedAt):mm\\:ss} {text}"));
