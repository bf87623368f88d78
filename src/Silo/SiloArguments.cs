namespace UPool.Silo;

/// <summary>The command line. Settings come from configuration, not from arguments.</summary>
/// <param name="Migrate">Apply the schema and exit.</param>
/// <param name="Seed">Put a few users into an empty table and exit.</param>
/// <param name="Help">Print the help and exit.</param>
/// <param name="Unknown">The first argument that is not known.</param>
internal sealed record SiloArguments(bool Migrate, bool Seed, bool Help, string? Unknown)
{
    public const string HelpText = """
        UPool.Silo            joins the cluster and works until it is told to stop (Ctrl-C, SIGTERM)
        UPool.Silo --migrate  waits for the database (UPool__Cluster__MigrateTimeout, 60 s) and applies the schema:
                              membership, grain storage, sessions, and tb1 if it is absent; exits
        UPool.Silo --seed     puts a few users into tb1 if it is empty, after --migrate if both are given; exits
        UPool.Silo --help     prints this help

        Settings come from appsettings.json and the environment: ConnectionStrings__UPool, UPool__Cluster__Mode=MySql,
        UPool__Cluster__ClusterId, UPool__Cluster__ServiceId and others: see docs/operating/configuration.md.
        Exit codes: 0 success, 1 the start failed, 2 an argument is unknown, 3 the other silos have declared this one
        dead.
        """;

    public static SiloArguments Parse(string[] arguments) => new(
        arguments.Contains("--migrate", StringComparer.Ordinal),
        arguments.Contains("--seed", StringComparer.Ordinal),
        arguments.Contains("--help", StringComparer.Ordinal) || arguments.Contains("-h", StringComparer.Ordinal),
        Array.Find(arguments, static argument => argument is not ("--migrate" or "--seed" or "--help" or "-h")));
}
