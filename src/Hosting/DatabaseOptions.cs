using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using UPool.Core;
using UPool.MySql;

namespace UPool.Hosting;

/// <summary>The database of the pool. Read rather than bound, because its keys are in several sections.</summary>
public sealed class DatabaseOptions
{
    /// <summary>The key of the switch to the embedded default.</summary>
    public const string EmbeddedKey = "UPool:Embedded";

    /// <summary>The key of the connection string.</summary>
    public const string ConnectionStringKey = "ConnectionStrings:UPool";

    /// <summary>The key of the control connections' connection string.</summary>
    public const string ControlConnectionStringKey = "ConnectionStrings:UPoolControl";

    /// <summary>The path of the embedded database below the content root.</summary>
    public const string EmbeddedFile = ".upool/upool.db";

    /// <summary>The connection string of a MySQL or MariaDB database; null if not configured.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>The connection string of the control connections; default: that of the pool.</summary>
    public string? ControlConnectionString { get; set; }

    /// <summary>Whether SQLite is used when there is no connection string. Default: true in Development only.</summary>
    public bool Embedded { get; set; }

    /// <summary>The file of the embedded database.</summary>
    public string EmbeddedPath { get; set; } = EmbeddedFile;

    /// <summary>Whether this process uses the embedded database; a connection string overrides it.</summary>
    public bool IsEmbedded => ConnectionString is null && Embedded;

    internal static void Read(DatabaseOptions options, IConfiguration configuration, IHostEnvironment environment)
    {
        options.ConnectionString = Text(configuration[ConnectionStringKey]);
        options.ControlConnectionString = Text(configuration[ControlConnectionStringKey]) ?? options.ConnectionString;
        options.Embedded = configuration.GetValue<bool?>(EmbeddedKey) ?? environment.IsDevelopment();
        options.EmbeddedPath = Path.Combine(environment.ContentRootPath, EmbeddedFile);
    }

    private static string? Text(string? value) => string.IsNullOrWhiteSpace(value) ? null : value;
}

/// <summary>Rejects a start without a database and names the key.</summary>
internal sealed class DatabaseOptionsValidator(IHostEnvironment environment, IEmbeddedDatabase? embedded = null)
    : IValidateOptions<DatabaseOptions>
{
    public ValidateOptionsResult Validate(string? name, DatabaseOptions options)
    {
        if (options.ConnectionString is { } connectionString)
        {
            string? pools = MySqlPool.Problem(connectionString);
            if (pools is not null) return Fail($"{DatabaseOptions.ConnectionStringKey}: {pools}");

            string? control = MySqlPool.Problem(options.ControlConnectionString ?? connectionString);
            return control is null
                ? ValidateOptionsResult.Success
                : Fail($"{DatabaseOptions.ControlConnectionStringKey}: {control}");
        }

        // Not in Production, even if configured: the file is neither shared nor backed up, and a lost environment
        // variable would look like an empty database.
        if (options.Embedded && environment.IsProduction())
        {
            return Fail($"{DatabaseOptions.EmbeddedKey} is true in Production: the embedded database is for "
                + $"development. Set {DatabaseOptions.ConnectionStringKey}.");
        }

        if (!options.Embedded)
        {
            return Fail($"{DatabaseOptions.ConnectionStringKey} is missing: set it to the connection string of a MySQL "
                + "or MariaDB database (as an environment variable: ConnectionStrings__UPool).");
        }

        return embedded is null
            ? Fail($"{DatabaseOptions.EmbeddedKey} is true, as it is in Development unless configured, but this "
                + "program has no embedded database: call AddUPoolSqlite() of the package UPool.Sqlite, or set "
                + $"{DatabaseOptions.ConnectionStringKey}.")
            : ValidateOptionsResult.Success;
    }

    private static ValidateOptionsResult Fail(string problem) => ValidateOptionsResult.Fail(problem);
}
