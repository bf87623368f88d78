using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Core;
using UPool.MySql;

namespace UPool.Hosting;

/// <summary>Makes the pool of this process. The one place that knows how a pool is made.</summary>
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

/// <summary>The pool's own rules, with the key in front.</summary>
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
