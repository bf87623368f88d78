using System.Globalization;

using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;
using UPool.Testing;

namespace UPool.Bench.Runner.Pool;

/// <summary>The pool alone, measured by separate programs: bench/Pool, under BenchmarkDotNet, and
/// bench/HikariCP.</summary>
internal sealed class PoolPart(Database database, ResultFolder results, Action<string> say)
{
    /// <summary>The part's name.</summary>
    public const string Name = "pool";

    /// <summary>The names of its rows and sides, as bench/Pool writes them.</summary>
    public const string Fake = "rent+return, fake connector";
    public const string Waited = $"{Fake}: rents that waited";
    public const string MariaDb = "rent+SELECT 1+return, MariaDB";
    public const string Own = "the pool";
    public const string ThroughAdoNet = "through ADO.NET";
    public const string LocksAndClocks = "two locks and two clock reads";
    public const string LockAndQueue = "a lock and a queue";
    public const string NoResetRent = "a no-reset rent";
    public const string OrdinaryRent = "a rent";
    public const string DriverWithoutReset = "MySqlConnector, reset off";
    public const string DriverDefaults = "MySqlConnector, defaults";

    /// <summary>The axis.</summary>
    public const string Workers = "workers";

    // A round takes 15 s or less; this bounds a run that hangs.
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(30);

    /// <summary>Runs both programs and combines their results.</summary>
    public async Task<PartResult> RunAsync(int rounds)
    {
        string count = rounds.ToString(CultureInfo.InvariantCulture);
        PartResult own = await RunAsync($"{Name}-dotnet", file => ProcessHost.StartDotnetAsync(
            "bench/Pool", BuiltPrograms.Dll("bench/Pool", "UPool.Bench.Pool"),
            ["--rounds", count, "--mariadb", database.ConnectionString, "--out", file]));
        PartResult java = await RunAsync($"{Name}-java", file => ProcessHost.StartAsync(
            "bench/HikariCP", "bash", [$"{BuiltPrograms.Root}/bench/HikariCP/run.sh", count, file]));
        return own with { Rows = [.. own.Rows, .. java.Rows] };
    }

    private async Task<PartResult> RunAsync(string result, Func<string, Task<ProcessHost>> startAsync)
    {
        say($"{Name}: {result}");
        await using ProcessHost host = await startAsync(results.FileOf(result));
        if (await host.WaitForExitAsync(Timeout) != 0)
            throw new InvalidOperationException($"{host.Name} ended with {host.ExitCode}. Its output:\n{host.Output}");

        return await results.ReadAsync(result)
            ?? throw new InvalidOperationException($"{host.Name} wrote no {results.FileOf(result)}.");
    }
}
