using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Core;
using UPool.MySql;

namespace UPool.Hosting;

/// <summary>Creates the pool of this process; the only place that does.</summary>
internal static class PoolFactory
{
    public static PooledDataSource Create(IServiceProvider services)
    {
        PoolOptions options = services.GetRequiredService<IOptions<PoolOptions>>().Value;
        DatabaseOptions database = services.GetRequiredService<IOptions<DatabaseOptions>>().Value;
        var loggers = services.GetRequiredService<ILoggerFactory>();
        var clock = services.GetRequiredService<TimeProvider>();
        return database.ConnectionString is { } connectionString
            ? MySqlPool.Create(
                connectionString, options, services.GetRequiredService<ControlDatabase>().Connections, loggers, clock)
            : services.GetRequiredService<IEmbeddedDatabase>().CreatePool(
                database.EmbeddedPath, options, loggers, clock);
    }
}

/// <summary>Validates by the pool's own rules and prefixes each problem with the section.</summary>
internal sealed class PoolOptionsValidator : IValidateOptions<PoolOptions>
{
    public const string Section = "UPool:Pool";

    public ValidateOptionsResult Validate(string? name, PoolOptions options)
    {
        IReadOnlyList<string> problems = options.Validate();
        return problems.Count == 0
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(problems.Select(static problem => $"{Section}:{problem}"));
    }
}
