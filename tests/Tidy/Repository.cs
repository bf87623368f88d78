namespace UPool.Tidy.Tests;

/// <summary>The hand-written files of this repository.</summary>
internal static class Repository
{
    private static readonly string[] Folders = [".ci", "bench", "deploy", "docs", "scripts", "src", "tests"];

    private static readonly string[] Extensions =
        [".cs", ".csproj", ".json", ".md", ".props", ".sh", ".sln", ".sql", ".targets", ".txt", ".yaml", ".yml"];

    /// <summary>The folder of uPool.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Every hand-written file, relative to the root, with forward slashes.</summary>
    public static IReadOnlyList<string> Files { get; } = FindFiles();

    /// <summary>The files below a folder (<c>src/</c>) with an extension (<c>.cs</c>).</summary>
    public static IEnumerable<string> FilesOf(string extension, params string[] folders) => Files.Where(file =>
        file.EndsWith(extension, StringComparison.Ordinal)
        && (folders.Length == 0 || folders.Any(folder => file.StartsWith(folder, StringComparison.Ordinal))));

    /// <summary>A file's lines.</summary>
    public static string[] Lines(string file) => File.ReadAllLines(Path.Combine(Root, file));

    /// <summary>A file's text.</summary>
    /// <exception cref="FileNotFoundException">The file is missing; the message says what it must hold.</exception>
    public static string Text(string file, string purpose)
    {
        var path = Path.Combine(Root, file);
        return File.Exists(path)
            ? File.ReadAllText(path)
            : throw new FileNotFoundException($"{file} is missing: it must hold {purpose}.");
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "uPool.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} holds uPool.sln.");
    }

    private static string[] FindFiles()
    {
        var top = Directory.EnumerateFiles(Root);
        var below = Folders.Select(folder => Path.Combine(Root, folder)).Where(Directory.Exists)
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories));
        return
        [
            .. top.Concat(below)
                .Select(path => Path.GetRelativePath(Root, path).Replace('\\', '/'))
                .Where(file => Extensions.Contains(Path.GetExtension(file)) || file == ".ci/run")
                .Where(file => !file.Split('/').Any(part => part is "bin" or "obj" or "TestResults" or ".upool"))
                .Order(StringComparer.Ordinal),
        ];
    }
}
