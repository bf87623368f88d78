using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace UPool.Cluster.Hosting;

/// <summary>Makes the pool of this process. The one place that knows how a pool is made.</summary>
internal static class PoolFactory
{
    public static PooledDataSource Create(IServiceProvider services)
    {
        _ = services.GetRequiredService<IOptions<PoolOptions>>().Value;
        _ = services.GetRequiredService<IOptions<DatabaseOptions>>().Value;
        throw new NotImplementedException("STUB until the pool is there.");
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
