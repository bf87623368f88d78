using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace UPool.Management;

/// <summary>Refuses settings that nothing reads: a misspelt one would otherwise be repaired in silence, by its
/// default.</summary>
internal sealed class KnownKeysValidator<TOptions>(IConfiguration configuration, string section)
    : IValidateOptions<TOptions>
    where TOptions : class
{
    public ValidateOptionsResult Validate(string? name, TOptions options)
    {
        string[] known = [.. typeof(TOptions).GetProperties().Where(static p => p.CanWrite).Select(static p => p.Name)];
        string[] failures = [.. configuration.GetSection(section).GetChildren()
            .Where(child => !known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
            .Select(child => $"{section}:{child.Key} is not a setting. {section} has {string.Join(", ", known)}.")];
        return failures.Length == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
