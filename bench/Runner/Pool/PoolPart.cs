using System.Globalization;

using UPool.Bench.Runner.Results;
using UPool.Bench.Runner.Sides;
using UPool.Testing;

namespace UPool.Bench.Runner.Pool;

/// <summary>The pool alone. Measured by a program of its own, bench/Pool, under BenchmarkDotNet.</summary>
internal sealed class PoolPart(Database database, ResultFolder results)
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

    /// <summary>Its axis.</summary>
    public const string Workers = "workers";

    // About a quarter of a minute a round; a bound for a run that hangs.
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(30);

    /// <summary>Runs the program, and reads what it wrote.</summary>
    public async Task<PartResult> RunAsync(int rounds)
    {
        await using ProcessHost host = await ProcessHost.StartDotnetAsync(
            Name, BuiltPrograms.Dll("bench/Pool", "UPool.Bench.Pool"),
            [
                "--rounds", rounds.ToString(CultureInfo.InvariantCulture), "--mariadb", database.ConnectionString,
                "--out", results.FileOf(Name),
            ]);
        if (await host.WaitForExitAsync(Timeout) != 0)
            throw new InvalidOperationException($"bench/Pool ended with {host.ExitCode}. Its output:\n{host.Output}");

        return await results.ReadAsync(Name)
            ?? throw new InvalidOperationException($"bench/Pool wrote no {results.FileOf(Name)}.");
    }
}
