using System.Reflection;
using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>The configuration keys that the code reads, and those that a document explains.</summary>
internal static partial class OptionKeys
{
    private const BindingFlags Constants = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    /// <summary>
    /// The keys of all options among some types: those named <c>…Options</c>. The options or their
    /// <c>…OptionsValidator</c> have a constant <c>Section</c> with the section of their properties; options that are
    /// read one by one name each key in a constant <c>…Key</c>.
    /// </summary>
    /// <exception cref="InvalidOperationException">Options that have neither.</exception>
    public static IEnumerable<string> Of(IReadOnlyCollection<Type> types)
    {
        foreach (var type in types.Where(type => type.Name.EndsWith("Options", StringComparison.Ordinal)))
        {
            var names = (string[])
            [
                .. type.GetProperties(BindingFlags.Instance | BindingFlags.Public)
                    .Where(property => property.SetMethod is { IsPublic: true } && IsBindable(property.PropertyType))
                    .Select(property => property.Name),
            ];
            var validator = types.FirstOrDefault(other => other.Name == $"{type.Name}Validator");
            var keys = Texts(type).Where(one => one.Name.EndsWith("Key", StringComparison.Ordinal)).ToArray();
            if ((Section(type) ?? Section(validator)) is { } section)
            {
                keys = [.. keys, .. names.Select(name => (name, $"{section}:{name}"))];
            }
            else if (names.Length > 0 && keys.Length == 0)
            {
                throw new InvalidOperationException(
                    $"{type.FullName} says nowhere where it is bound: give it a constant Section, or a constant …Key " +
                    "for each key.");
            }

            foreach (var (_, key) in keys)
            {
                yield return key;
            }
        }
    }

    /// <summary>The keys in backticks in a text.</summary>
    public static IReadOnlySet<string> In(string text) =>
        Key().Matches(text).Select(match => match.Groups[1].Value).ToHashSet();

    [GeneratedRegex(@"`((?:UPool|ConnectionStrings)(?::\w+)+)`")]
    private static partial Regex Key();

    private static string? Section(Type? type) =>
        type is null ? null : Texts(type).FirstOrDefault(one => one.Name == "Section").Value;

    private static IEnumerable<(string Name, string Value)> Texts(Type type) =>
        from field in type.GetFields(Constants)
        where field.IsLiteral && field.FieldType == typeof(string)
        select (field.Name, (string)field.GetRawConstantValue()!);

    // Configuration can set it; a delegate or a clock is set by code.
    private static bool IsBindable(Type type)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return plain.IsPrimitive || plain.IsEnum || plain.IsArray
            || plain == typeof(string) || plain == typeof(TimeSpan) || plain == typeof(Uri);
    }
}
