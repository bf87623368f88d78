namespace UPool.Testing;

/// <summary>The programs of this repository, as the build that the running program belongs to made them.</summary>
public static class BuiltPrograms
{
    // …/tests/Pool/bin/Release/net10.0
    private static readonly string[] Parts = AppContext.BaseDirectory.TrimEnd('/').Split('/');

    /// <summary>The repository's folder.</summary>
    public static string Root { get; } = string.Join('/', Parts[..^5]);

    /// <summary>The path of a program's file: <c>Dll("Silo")</c>; from the same configuration.</summary>
    /// <exception cref="FileNotFoundException">It was not built.</exception>
    public static string Dll(string program) => Dll($"src/{program}", $"UPool.{program}");

    /// <summary>The same of a project in any folder: <c>Dll("bench/Handwritten", "UPool.Bench.Handwritten")</c>.
    /// </summary>
    /// <exception cref="FileNotFoundException">It was not built.</exception>
    public static string Dll(string folder, string assembly)
    {
        string dll = $"{Root}/{folder}/bin/{Parts[^2]}/{Parts[^1]}/{assembly}.dll";
        return File.Exists(dll) ? dll : throw new FileNotFoundException($"Build the solution first: {dll} is missing.");
    }
}
