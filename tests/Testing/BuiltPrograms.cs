namespace UPool.Testing;

/// <summary>The programs of this repository, as the build that the tests belong to made them.</summary>
public static class BuiltPrograms
{
    /// <summary>The path of a program's file: <c>Dll("Silo")</c>; from the same configuration as the tests.</summary>
    /// <exception cref="FileNotFoundException">It was not built.</exception>
    public static string Dll(string program)
    {
        string[] parts = AppContext.BaseDirectory.TrimEnd('/').Split('/');
        string root = string.Join('/', parts[..^5]);
        string dll = $"{root}/src/{program}/bin/{parts[^2]}/{parts[^1]}/UPool.{program}.dll";
        return File.Exists(dll) ? dll : throw new FileNotFoundException($"Build the solution first: {dll} is missing.");
    }
}
