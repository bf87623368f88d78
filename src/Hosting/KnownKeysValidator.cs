using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Rejects settings that nothing reads: a misspelt key would otherwise be silently replaced by its
/// default.</summary>
internal sealed class KnownKeysValidator<TOptions>(IConfiguration configuration, string section)
    : IValidateOptions<TOptions>
    where TOptions : class
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, TOptions options)
    {
        string[] known = [.. typeof(TOptions).GetProperties().Where(static p => p.CanWrite).Select(static p => p.Name)];
        string[] failures = [.. configuration.GetSection(section).GetChildren()
            .Where(child => !known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
            .Select(child => $"{section}:{child.Key} is not a setting. {section} has {string.Join(", ", known)}.")];
        return failures.Length == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}

internal static class KnownKeysExtensions
{
    /// <summary>Makes options reject unknown keys of their section. Registers once however often it is called: two
    /// registrations would report every problem twice.</summary>
    public static void AddKnownKeys<TOptions>(this IServiceCollection services, string section)
        where TOptions : class
    {
        if (services.IsRegistered<Marker<TOptions>>()) return;

        services.AddSingleton<Marker<TOptions>>();
        services.AddSingleton<IValidateOptions<TOptions>>(provider =>
            new KnownKeysValidator<TOptions>(provider.GetRequiredService<IConfiguration>(), section));
    }

    private sealed class Marker<TOptions>;
}
