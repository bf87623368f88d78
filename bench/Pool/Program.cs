// Compares rent and return of the pool with a minimal pool and with the driver's own. Each round measures all sides in
// turn, so that a slow minute of the machine affects all of them; ratios are of medians.
using System.Text.Json;

using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

using Perfolizer.Horology;

using UPool.Bench.Pool;

const string Usage = "Usage: UPool.Bench.Pool [--rounds N] [--mariadb CONNECTION_STRING] --out FILE";

int rounds = 10;
string? file = null;
for (int i = 0; i < args.Length; i += 2)
{
    string? value = i + 1 < args.Length ? args[i + 1] : null;
    switch (args[i], value)
    {
        case ("--rounds", not null) when int.TryParse(value, out int number) && number > 0: rounds = number; break;
        case ("--mariadb", not null): RentOnMariaDb.ConnectionString = value; break;
        case ("--out", not null): file = Path.GetFullPath(value); break;
        default: return Fail(Usage);
    }
}

if (file is null) return Fail(Usage);

// In this process: otherwise BenchmarkDotNet would restore and build a program in every round.
IConfig config = ManualConfig.CreateEmpty()
    .AddColumnProvider(DefaultColumnProviders.Instance)
    .AddDiagnoser(MemoryDiagnoser.Default)
    .WithArtifactsPath(Path.Combine(Path.GetDirectoryName(file)!, "BenchmarkDotNet.Artifacts"))
    .AddJob(Job.Default
        .WithToolchain(InProcessEmitToolchain.Instance)
        .WithIterationTime(TimeInterval.FromMilliseconds(50))
        .WithWarmupCount(2)
        .WithIterationCount(5));
List<(string Name, Type Type)> parts =
[
    ("rent+return, fake connector", typeof(RentAlone)),
    ("rent+return, fake connector", typeof(RentTogether)),
];
if (RentOnMariaDb.ConnectionString.Length > 0) parts.Add(("rent+SELECT 1+return, MariaDB", typeof(RentOnMariaDb)));

Dictionary<(string, string, int), Row> rows = [];
for (int round = 1; round <= rounds; round++)
{
    Console.Error.WriteLine($"round {round} of {rounds}");
    foreach ((string name, Type type) in parts)
    {
        foreach (BenchmarkReport report in BenchmarkRunner.Run(type, config).Reports) Add(name, report);
    }
}

foreach (Row row in rows.Values)
{
    Console.Error.WriteLine(
        $"{row.Name}, {row.Point.Workers} workers, {row.Side}: {Median(row.Values):0.0} {row.Unit}, {row.Bytes} B");
}

Directory.CreateDirectory(Path.GetDirectoryName(file)!);
await using FileStream output = File.Create(file);
await JsonSerializer.SerializeAsync(
    output, new { Part = "pool", Rows = rows.Values }, new JsonSerializerOptions(JsonSerializerDefaults.Web));
return 0;

void Add(string name, BenchmarkReport report)
{
    BenchmarkCase side = report.BenchmarkCase;
    if (report.ResultStatistics is not { } statistics)
        throw new InvalidOperationException($"{side.DisplayInfo} was not measured; run it alone to see why.");

    Row row = Find(name, side, "ns");
    row.Values.Add(statistics.Median);
    row.Bytes = Math.Max(row.Bytes ?? 0, report.GcStats.GetBytesAllocatedPerOperation(side) ?? 0);
    if (side.Descriptor.Type == typeof(RentTogether)
        && RentTogether.LeastWaited.TryGetValue(side.Descriptor.WorkloadMethod.Name, out double share))
        Find($"{name}: rents that waited", side, "%").Values.Add(100 * share);
}

Row Find(string name, BenchmarkCase side, string unit)
{
    int workers = (int)side.Parameters["Workers"];
    string text = side.Descriptor.WorkloadMethodDisplayInfo.Trim('\'');
    if (!rows.TryGetValue((name, text, workers), out Row? row))
        rows[(name, text, workers)] = row = new Row(name, text, new Point(workers), unit);
    return row;
}

static double Median(IEnumerable<double> values)
{
    double[] sorted = [.. values.Order()];
    return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
}

static int Fail(string message)
{
    Console.Error.WriteLine(message);
    return 2;
}
